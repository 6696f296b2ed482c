import type { Account, Evidence, Violation } from '../evidence.js';
import { isEnded } from '../history.js';
import { retryOf } from '../shapes.js';

/** Each accepted trigger made one run, which has ended, once for each series of attempts. */
export function runs({ accounts, unread, listed }: Evidence): Violation[] {
  const rule = 'runs';
  const violations: Violation[] = unread.map(({ history, why }) => ({
    rule,
    text: `cannot be accounted for: ${why}`,
    ...(history.runId === undefined ? {} : { runId: history.runId }),
  }));
  const known = new Set([...accounts, ...unread].map(({ history }) => history.runId));
  for (const run of listed) {
    if (!known.has(run.id)) {
      const text = `nobody was told of this run: #${run.number} of ${run.pipelineName}`;
      violations.push({ rule, runId: run.id, text });
    }
  }
  const ids = new Set(listed.map(({ id }) => id));
  for (const { run } of accounts) {
    if (!ids.has(run.id)) violations.push({ rule, runId: run.id, text: 'is not among the runs that are listed' });
  }
  for (const account of accounts) {
    violations.push(...ofRun(account).map((text) => ({ rule, runId: account.run.id, text })));
  }
  return violations;
}

function ofRun({ history, run }: Account): string[] {
  const found = [...history.refusals.map((refusal) => `was refused: ${refusal}`)];
  if (!isEnded(run.status)) found.push(`has not ended: ${run.status}`);
  for (const id of history.otherIds) {
    if (id !== run.id) found.push(`its key was answered with another run too: ${id}`);
  }
  if (run.attempt > run.attemptsMax) found.push(`is at attempt ${run.attempt} of ${run.attemptsMax}`);
  // Nobody uses the queue but Slipway, so a further delivery is never somebody's wish.
  if (run.reason?.startsWith('retried in the queue')) found.push('was tried again although nobody asked');
  const series = history.retriesAsked + 1;
  if (history.endings.length > series) {
    found.push(`ended ${history.endings.length} times, in ${series} series of attempts`);
  }
  if (history.retriesAsked === 0) {
    const { attempts } = retryOf(history.plan.shape);
    if (run.attemptsMax !== attempts) found.push(`has ${run.attemptsMax} attempts rather than ${attempts}`);
  }
  if (run.status === 'canceled' && history.cancelsAsked === 0) found.push('was canceled by nobody');
  for (const step of [...run.steps, ...run.earlierSteps]) {
    if (step.status === 'running' || (isEnded(run.status) && step.status === 'pending')) {
      found.push(`${step.name}, attempt ${step.attempt}, is still ${step.status}`);
    }
  }
  if (isEnded(run.status) && run.status !== 'canceled' && run.status !== history.plan.shape.outcome) {
    found.push(`ended ${run.status} rather than ${history.plan.shape.outcome}: ${run.error}`);
  }
  return found;
}
