import type { Account } from '../evidence.js';
import { isEnded, type Sighting } from '../history.js';

/** Within an attempt, a run goes only forwards. */
const PLACES: Record<Sighting['status'], number> = {
  waiting: 0,
  queued: 0,
  running: 1,
  canceling: 2,
  succeeded: 3,
  failed: 3,
  canceled: 3,
  timed_out: 3,
};

/** Whoever looks at a run sees it go forwards. */
export function watching({ history, run }: Account): string[] {
  const found: string[] = [];
  for (const [index, sightings] of [history.readings, ...history.watchers].entries()) {
    const who = index === 0 ? 'reading it again' : `watcher ${index}`;
    for (const [at, next] of sightings.entries()) {
      const last = sightings[at - 1];
      const said = [...(last === undefined ? [] : steps(last, next)), ...alone(next)];
      found.push(...said.map((text) => `${who}: ${text}`));
    }
    const last = sightings.at(-1);
    if (index > 0 && last !== undefined && !isEnded(last.status)) {
      found.push(`${who} was last told ${last.status}, and not of the end`);
    }
    if (last !== undefined && last.version > run.version) found.push(`${who} saw a later version than there is`);
  }
  return found;
}

function steps(last: Sighting, next: Sighting): string[] {
  const from = `${last.status} of attempt ${last.attempt} at version ${last.version}`;
  const to = `${next.status} of attempt ${next.attempt} at version ${next.version}`;
  const found: string[] = [];
  if (next.version < last.version) found.push(`${from} was followed by ${to}`);
  // Between two versions only the length of the log, which is read live, may differ.
  else if (next.version === last.version && (next.status !== last.status || next.attempt !== last.attempt)) {
    found.push(`${from} and ${to} are one version`);
  }
  if (next.attempt < last.attempt) found.push(`${from} was followed by ${to}`);
  if (next.attempt !== last.attempt) return found;
  if (PLACES[next.status] < PLACES[last.status] || (isEnded(last.status) && next.status !== last.status)) {
    found.push(`${from} was followed by ${to}`);
  }
  if (next.progress < last.progress) found.push(`progress fell from ${last.progress} to ${next.progress} in ${to}`);
  return found;
}

function alone({ status, progress, version }: Sighting): string[] {
  if ((progress === 100) === isEnded(status)) return [];
  return [`${status} with a progress of ${progress} at version ${version}`];
}
