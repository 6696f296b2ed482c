import type { ReactNode } from 'react';

interface Props {
  title: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page of text and lists: its title, what can be done, and no wider than can be read. */
export function Page({ title, actions, children }: Props) {
  return (
    <div className="mx-auto max-w-[100rem] px-3 pt-4 pb-16 sm:px-6">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 pb-4">
        <h1 className="min-w-48 flex-1 text-title wrap-anywhere">{title}</h1>
        {actions !== undefined && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
