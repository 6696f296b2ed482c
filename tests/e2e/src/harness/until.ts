import { setTimeout as pause } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const PAUSE_MS = 25;

/** Says that what is waited for can no longer come. */
export class Hopeless extends Error {}

/**
 * Asks again and again until the answer is neither false nor undefined, and gives it. `what` completes
 * "waited in vain until …". A question that throws counts as not yet answered,
 * unless it throws `Hopeless`.
 */
export async function until<T>(
  what: string,
  question: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`, { cause: last });
    await pause(PAUSE_MS);
  }
}
