import type { LogLine } from '@slipway/client';

/** Lines that are asked for, kept and dropped together: the first of a page is one more than a multiple of this. */
export const PAGE_LINES = 500;

/** Where lines come from that are not streamed. */
export type Read = (
  from: number,
  limit: number,
  signal: AbortSignal,
) => Promise<{ items: LogLine[]; total: number }>;
