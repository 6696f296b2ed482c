import type { Account } from '../evidence.js';
import { runsAlways } from '../shapes.js';

/** What was accepted as a cancel ended as one, and nothing but what always runs began after it. */
export function cancels({ history, run, effects }: Account): string[] {
  const found: string[] = [];
  for (const accepted of history.cancels) {
    // An answer that was long on its way may tell of the attempt that was asked for after the cancel was done.
    const since = history.endings.find(({ atMs }) => accepted.askedMs <= atMs);
    const ending = history.endings.find(({ attempt }) => accepted.attempt <= attempt);
    const statuses = [since?.status, ending?.status ?? run.status];
    if (!statuses.includes('canceled')) {
      found.push(`a cancel was accepted in attempt ${accepted.attempt}, and it ended ${statuses.at(-1)}`);
    }
  }
  for (const ending of history.endings) {
    const late = effects.filter(
      ({ what, step, runAttempt, atMs }) =>
        what === 'begin' &&
        runAttempt <= ending.attempt &&
        ending.atMs < atMs &&
        !runsAlways(history.plan.shape, step),
    );
    for (const { step, stepAttempt, atMs } of late) {
      const after = `${atMs - ending.atMs} ms after attempt ${ending.attempt} of the run was ${ending.status}`;
      found.push(`${step}, attempt ${stepAttempt}, began ${after}`);
    }
  }
  return found;
}
