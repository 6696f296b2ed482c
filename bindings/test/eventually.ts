import { vi } from 'vitest';

/** Waits until the expectations hold, however long a busy machine takes. */
export function eventually(expectations: () => void): Promise<void> {
  return vi.waitFor(expectations, { timeout: 60_000, interval: 10 });
}
