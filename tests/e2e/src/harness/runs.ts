import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

import { followLog, gapsIn, outcome, type Client, type Line, type Run, type State } from './client.js';
import { until } from './until.js';

/** A pipeline with a name of its own, triggered once. */
export async function trigger(
  client: Client,
  definition: string,
  options: { branch?: string; inputs?: Record<string, string>; repository?: string } = {},
): Promise<Run> {
  const { repository, ...rest } = options;
  const pipeline = await client.pipelines.create.mutate({
    name: unique('pipeline'),
    definition,
    ...(repository === undefined ? {} : { repository }),
  });
  return await client.pipelines.trigger.mutate({ pipelineId: pipeline.id, ...rest });
}

/** Triggers and waits for the end: the last state, and all lines, which must be without a gap. */
export async function runToEnd(
  client: Client,
  definition: string,
  options: { branch?: string; inputs?: Record<string, string>; repository?: string } = {},
): Promise<{ run: Run; state: State; lines: Line[] }> {
  const run = await trigger(client, definition, options);
  return { run, ...(await finish(client, run.id)) };
}

export async function finish(client: Client, runId: string): Promise<{ state: State; lines: Line[] }> {
  const [state, lines] = await Promise.all([outcome(client, runId), followLog(client, runId).done]);
  const gaps = gapsIn(lines);
  if (gaps.length > 0) throw new Error(`the log of ${runId} is not whole: ${gaps.join('; ')}`);
  return { state, lines };
}

export function unique(word: string): string {
  return `${word}-${randomBytes(6).toString('hex')}`;
}

/** A number of seconds that nobody else sleeps for, to know a process by. */
export function uniqueSeconds(): string {
  return `${10_000 + randomBytes(2).readUInt16BE()}.${randomBytes(4).readUInt32BE()}`;
}

/** The lines of a file that steps append to; none while it is not there. */
export function linesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

/** Waits until a step has said so, in a file of its own. */
export async function written(path: string, count = 1): Promise<void> {
  await until(`${path} has ${count} lines`, () => linesOf(path).length >= count);
}

/** Shell that waits until a file is there: how a test holds a step at a point. */
export function waitFor(path: string): string {
  return `until [ -e '${path}' ]; do sleep 0.05; done`;
}

export async function untilStatus(
  client: Client,
  runId: string,
  ...statuses: State['status'][]
): Promise<void> {
  await until(`run ${runId} is ${statuses.join(' or ')}`, async () =>
    statuses.includes((await client.runs.get.query({ runId })).status),
  );
}
