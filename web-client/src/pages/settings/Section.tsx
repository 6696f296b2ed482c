import { useId, type ReactNode } from 'react';

interface Props {
  title: string;
  text?: string | undefined;
  /** As wide as the page, rather than as a form. */
  isWide?: boolean;
  children?: ReactNode;
}

/** A part of a page of settings. */
export function Section({ title, text, isWide = false, children }: Props) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={isWide ? '' : 'max-w-2xl'}>
      <h2 id={id} className="text-section">
        {title}
      </h2>
      {text !== undefined && <p className="text-text-2">{text}</p>}
      <div className="pt-3">{children}</div>
    </section>
  );
}
