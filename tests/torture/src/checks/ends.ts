import { existsSync, readFileSync } from 'node:fs';

import type { Violation } from '../evidence.js';
import type { Setup } from '../setup.js';

/** Servers end when they are asked to and not before, whole, and leave nothing behind. Ends them. */
export async function ends(setup: Setup): Promise<Violation[]> {
  const failed = await setup.terminate();
  const early = setup.ends.filter(({ wasStarting }) => !wasStarting);
  return [
    ...failed.map((name) => `${name} did not end with exit code 0`),
    ...setup.leftovers().map(({ pid, command }) => `left behind: process ${pid}, ${command}`),
    ...early.map(({ name, lastWords }) => `${name} ended by itself: ${lastWords}`),
    ...setup.servers.flatMap(({ name }) => panics(name, setup.log(name))),
  ].map((text) => ({ rule: 'ends', text }));
}

function panics(name: string, log: string): string[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines.filter((line) => line.includes('panicked')).map((line) => `${name} panicked: ${line}`);
}
