import type { Run } from '@slipway/client';

import { isLive } from '../run/status';

export interface Stats {
  /** Of those that ended, how many succeeded: 0 to 1. Null where none has ended. */
  success: number | null;
  /** In milliseconds, of those that succeeded. */
  median: number | null;
  ended: number;
}

/** What the latest runs of a pipeline say. A run that was canceled says nothing of the pipeline. */
export function statsOf(runs: readonly Run[]): Stats {
  const ended = runs.filter(({ status }) => !isLive(status) && status !== 'canceled');
  const good = ended.filter(({ status }) => status === 'succeeded');
  const durations = good
    .map((run) => durationOf(run, 0))
    .filter((ms) => ms !== null)
    .sort((a, b) => a - b);
  return {
    success: ended.length === 0 ? null : good.length / ended.length,
    median: durations[Math.floor(durations.length / 2)] ?? null,
    ended: ended.length,
  };
}

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
