import { useNavigate } from '@tanstack/react-router';

import { focusFilter, useShortcuts } from '../keys';

export function useGlobalKeys(): void {
  const navigate = useNavigate();
  useShortcuts({
    'g p': () => void navigate({ to: '/pipelines' }),
    'g r': () => void navigate({ to: '/runs' }),
    'g q': () => void navigate({ to: '/queues' }),
    '/': focusFilter,
    j: () => moveInList(1),
    k: () => moveInList(-1),
  });
}

/** Lists mark their rows; the keys go from one to the next. */
function moveInList(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-list-row]')];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at === -1 ? (by === 1 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  next?.focus();
}
