import type { LogLine } from '@slipway/client';

/** Lines that are asked for, kept and dropped together: the first of a page is one more than a multiple of this. */
export const PAGE_LINES = 500;

export function pageOf(n: number): number {
  return Math.floor((n - 1) / PAGE_LINES);
}

/** The first and the last line of a page, of so many in all. */
export function linesOf(page: number, total: number): [first: number, last: number] {
  const first = page * PAGE_LINES + 1;
  return [first, Math.min(first + PAGE_LINES - 1, total)];
}

/** Where lines come from that are not streamed. */
export type Read = (
  from: number,
  limit: number,
  signal: AbortSignal,
) => Promise<{ items: LogLine[]; total: number }>;
