import { existsSync, readFileSync } from 'node:fs';

import type { Client, Run, RunDetails, Step } from '@slipway/client';

import { answered } from './calls.js';
import { grouped } from './group.js';
import type { Line, RunHistory } from './history.js';

const PAGE_LINES = 1_000;
const READ_MS_MAX = 60_000;
const SIDE_BY_SIDE = 4;

/** What a step's command wrote down itself. */
export interface Effect {
  what: 'begin' | 'end';
  runId: string;
  step: string;
  runAttempt: number;
  stepAttempt: number;
  atMs: number;
}

/** A run as it stands at the end, beside what was seen of it. */
export interface Account {
  history: RunHistory;
  run: RunDetails;
  /** Every attempt of every step. */
  attempts: Step[];
  log: Line[];
  effects: Effect[];
}

export interface Evidence {
  accounts: Account[];
  /** Those that nobody can read, or whose trigger nobody has answered. */
  unread: { history: RunHistory; why: string }[];
  /** All runs that there are. */
  listed: Run[];
  effects: Effect[];
}

/** Something that may not be. */
export interface Violation {
  rule: string;
  text: string;
  runId?: string;
}

/** Reads everything, once nothing changes any more. */
export async function gather(client: Client, histories: RunHistory[], effectsFile: string): Promise<Evidence> {
  const effects = readEffects(effectsFile);
  const byRun = grouped(effects, ({ runId }) => runId);
  const evidence: Evidence = { accounts: [], unread: [], listed: await listAll(client), effects };
  const rest = [...histories];
  const reader = async () => {
    for (let history = rest.shift(); history !== undefined; history = rest.shift()) {
      const { runId } = history;
      if (runId === undefined) {
        evidence.unread.push({ history, why: history.refusals[0] ?? 'its trigger was not answered' });
        continue;
      }
      try {
        const run = await must(() => client.runs.get.query({ runId }));
        evidence.accounts.push({
          history,
          run,
          attempts: [...run.earlierSteps, ...run.steps],
          log: await wholeLog(client, runId),
          effects: byRun.get(runId) ?? [],
        });
      } catch (error) {
        evidence.unread.push({ history, why: String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, reader));
  return evidence;
}

async function must<T>(call: () => Promise<T>): Promise<T> {
  const answer = await answered(AbortSignal.timeout(READ_MS_MAX), call);
  if (answer === 'given up') throw new Error('nothing answers');
  if ('refusal' in answer) throw new Error(answer.refusal);
  return answer.value;
}

async function listAll(client: Client): Promise<Run[]> {
  const runs: Run[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await must(() => client.runs.list.query({ limit: 100, ...(cursor ? { cursor } : {}) }));
    runs.push(...page.items);
    cursor = page.nextCursor;
  }
  return runs;
}

/** What Redis has lost is published again within seconds of its end; a log that then is not whole never will be. */
const WHOLE_MS_MAX = 90_000;

async function wholeLog(client: Client, runId: string): Promise<Line[]> {
  const endMs = Date.now() + WHOLE_MS_MAX;
  for (;;) {
    const log = await readLog(client, runId);
    const { lines } = await must(() => client.runs.get.query({ runId }));
    if (lines <= log.length || endMs < Date.now()) return log;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function readLog(client: Client, runId: string): Promise<Line[]> {
  const lines: Line[] = [];
  for (let from: number | null = 1; from !== null;) {
    const first: number = from;
    const page = await must(() => client.runs.logs.query({ runId, from: first, limit: PAGE_LINES }));
    lines.push(...page.items.map(({ id: _, ...line }) => line));
    from = page.nextFrom;
  }
  return lines;
}

function readEffects(file: string): Effect[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [what, runId = '', step = '', runAttempt, stepAttempt, atMs] = line.split(' ');
      if (what !== 'begin' && what !== 'end') throw new Error(`the effects have a line ${line}`);
      return {
        what,
        runId,
        step,
        runAttempt: Number(runAttempt),
        stepAttempt: Number(stepAttempt),
        atMs: Number(atMs),
      };
    });
}
