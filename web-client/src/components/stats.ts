import type { Run } from '@slipway/client';

/** How long it took, or has taken so far; null where it has not begun. */
export function durationOf({ startedAt, finishedAt }: Pick<Run, 'startedAt' | 'finishedAt'>, now: number): number | null {
  if (startedAt === null) return null;
  // The server's clock, and one that is looked at once a second here, may be ahead of ours.
  return Math.max(0, (finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(startedAt));
}

/** The value that so much of the others is not above: 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
