import type { Account, Evidence, Violation } from '../evidence.js';
import { cancels } from './cancels.js';
import { effects } from './effects.js';
import { logs } from './logs.js';
import { runs } from './runs.js';
import { watching } from './watching.js';

/** Everything that must hold of a run, whatever was broken while it went on. */
export function check(evidence: Evidence): Violation[] {
  const perRun = (account: Account) =>
    [watching, effects, logs, cancels].flatMap((rule) =>
      rule(account).map((text) => ({ rule: rule.name, text, runId: account.run.id })),
    );
  return [...runs(evidence), ...evidence.accounts.flatMap(perRun)];
}
