import type { ReactNode } from 'react';

/** A list that has nothing: one sentence, and what to do about it. */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 px-4 py-16 text-center text-text-2">
      <p>{children}</p>
      {action}
    </div>
  );
}

/** In place of rows that are not there yet, and as high as they are. */
export function Skeleton({ rows = 6, height = 36 }: { rows?: number; height?: number }) {
  return (
    <div aria-hidden className="flex flex-col">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex items-center px-3" style={{ height }}>
          <div className="skeleton h-3" style={{ width: `${55 - ((row * 17) % 30)}%` }} />
        </div>
      ))}
    </div>
  );
}
