import { useId, type ReactNode } from 'react';

interface Props {
  label: string;
  hint?: string | undefined;
  /** What is wrong with it. */
  error?: string | null | undefined;
  children: (props: { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean }) => ReactNode;
}

/** A label, its control, and beside it what is wrong with it. */
export function Field({ label, hint, error, children }: Props) {
  const id = useId();
  const hasError = error !== null && error !== undefined && error !== '';
  const about = hasError || hint !== undefined ? `${id}-about` : undefined;
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      {children({ id, 'aria-describedby': about, 'aria-invalid': hasError })}
      {about !== undefined && (
        <p id={about} className={hasError ? 'text-meta text-failed' : 'text-meta text-text-2'}>
          {hasError ? error : hint}
        </p>
      )}
    </div>
  );
}
