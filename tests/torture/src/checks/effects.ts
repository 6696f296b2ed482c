import type { Step } from '@slipway/client';

import type { Account } from '../evidence.js';

/** What each attempt of a step did outside of its workspace is what is on record of it. */
export function effects({ attempts, effects: seen }: Account): string[] {
  const found: string[] = [];
  for (const step of attempts) {
    const count = (what: 'begin' | 'end') =>
      seen.filter((effect) => effect.what === what && isOf(effect, step)).length;
    for (const what of ['begin', 'end'] as const) {
      const [min, max] = expected(step)[what];
      const times = count(what);
      if (times < min || max < times) {
        const status = `${step.status} (${step.reason ?? step.exitCode})`;
        found.push(`${name(step)} is ${status}, and its command came to its ${what} ${times} times`);
      }
    }
  }
  for (const effect of seen) {
    if (!attempts.some((step) => isOf(effect, step))) {
      const { what, step, stepAttempt, runAttempt } = effect;
      found.push(`${step}, attempt ${stepAttempt}, in attempt ${runAttempt} of the run, is not on record: ${what}`);
    }
  }
  const keys = attempts.map(name);
  for (const [index, key] of keys.entries()) if (keys.indexOf(key) !== index) found.push(`${key} is on record twice`);
  return found;
}

function name(step: Step): string {
  return `${step.name}, attempt ${step.attempt},`;
}

function isOf(effect: { step: string; stepAttempt: number }, step: Step): boolean {
  return effect.step === step.name && effect.stepAttempt === step.attempt;
}

/** How often the command of an attempt may have begun, and come to its end, at the least and at the most. */
function expected({ status, exitCode, startedAt }: Step): Record<'begin' | 'end', [number, number]> {
  switch (status) {
    case 'succeeded':
      return { begin: [1, 1], end: [1, 1] };
    case 'failed':
      // Without an exit code it was not the command that failed, which may not have begun.
      return { begin: [exitCode === null ? 0 : 1, 1], end: [0, exitCode === null ? 1 : 0] };
    case 'skipped':
    case 'pending':
      return { begin: [0, startedAt === null ? 0 : 1], end: [0, startedAt === null ? 0 : 1] };
    default:
      // Lost, or ended before it came to its end: it may have come to any point.
      return { begin: [0, 1], end: [0, 1] };
  }
}
