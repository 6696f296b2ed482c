// What is counted: how pipelines have fared, and the queue in numbers.
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { QueueState } from '@slipway/client';
import { ask } from './board/api.js';
import { connect, outcome } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, unique } from './harness/runs.js';
import { until } from './harness/until.js';

const NOBODY = '01890a5d-ac96-774b-bcce-b302099a8057';
const WATCHERS = 20;

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

test('of each pipeline that somebody sees, its newest runs and what they come to', async () => {
  const { client } = slipway;
  const create = async () =>
    await client.pipelines.create.mutate({ name: unique('stats'), definition: script('test "$SLIPWAY_INPUT_HOW" = well') });
  const [mine, other] = [await create(), await create()];
  const run = async (pipelineId: string, how: string) => {
    const { id } = await client.pipelines.trigger.mutate({ pipelineId, inputs: { how } });
    await finish(client, id);
    return await client.runs.get.query({ runId: id });
  };
  const runs = [await run(mine.id, 'well'), await run(mine.id, 'ill'), await run(mine.id, 'well')];
  await run(other.id, 'ill');
  const pipelineIds = [mine.id, other.id, mine.id, NOBODY];
  const { items } = await client.pipelines.stats.query({ pipelineIds });
  expect(items.map(({ pipelineId }) => pipelineId)).toEqual([mine.id, other.id, NOBODY]);
  const took = (one: { startedAt: string | null; finishedAt: string | null }) =>
    Date.parse(one.finishedAt ?? '') - Date.parse(one.startedAt ?? '');
  expect(items[0]?.runs).toEqual(
    runs.toReversed().map((one) => ({
      id: one.id,
      number: one.number,
      status: one.status,
      branch: one.branch,
      triggeredBy: one.trigger.by,
      createdAt: one.createdAt,
      startedAt: one.startedAt,
      finishedAt: one.finishedAt,
      durationMs: took(one),
    })),
  );
  expect(items[0]?.successRate).toBeCloseTo(2 / 3);
  const [first, , last] = runs;
  expect(items[0]?.medianDurationMs).toBe(Math.min(...[first, last].map((one) => (one === undefined ? NaN : took(one)))));
  expect(items[1]).toMatchObject({ successRate: 0, medianDurationMs: null });
  expect(items[2]).toEqual({ pipelineId: NOBODY, runs: [], successRate: null, medianDurationMs: null });

  const newest = await client.pipelines.stats.query({ pipelineIds, runs: 1 });
  expect(newest.items.map((item) => item.runs.map(({ number }) => number))).toEqual([[3], [1], []]);
  const grants = [{ pipelineId: other.id, role: 'viewer' as const }];
  const { value } = await client.tokens.create.mutate({ name: unique('sees-one'), grants });
  const seen = await connect(slipway.url, value).pipelines.stats.query({ pipelineIds });
  expect(seen.items.map(({ pipelineId }) => pipelineId)).toEqual([other.id]);
});

test('the queue in numbers comes to all that watch, and is looked at once a second for all of them', async () => {
  const { client } = slipway;
  const asked = async () => {
    const stats = await slipway.askRedis('INFO commandstats');
    return Number(/cmdstat_pttl:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  const before = await asked();
  const begun = performance.now();
  const seen = Array.from({ length: WATCHERS }, (): QueueState[] => []);
  const stop = seen.map((states) =>
    client.system.watchQueue.subscribe(undefined, { onData: (state) => states.push(state) }),
  );
  await until('all are told what is', () => seen.every((states) => states.length > 0));
  await ask(slipway, 'PUT', '/queues/pipelines/pause');
  const { id: pipelineId } = await client.pipelines.create.mutate({ name: unique('watched'), definition: script('true') });
  const runs = [await client.pipelines.trigger.mutate({ pipelineId }), await client.pipelines.trigger.mutate({ pipelineId })];
  await until('all see them wait', () => seen.every((states) => states.at(-1)?.waiting === 2));
  for (const states of seen) expect(states.at(-1)).toMatchObject({ active: 0, workers: slipway.workerCount, isPaused: true });
  const [looks, seconds] = [(await asked()) - before, (performance.now() - begun) / 1_000];
  // Of each look two questions, one a queue; the one to pause has the next look begin anew.
  expect(looks).toBeLessThanOrEqual(2 * (seconds + 3));
  await ask(slipway, 'PUT', '/queues/pipelines/resume');
  for (const { id } of runs) await outcome(client, id);
  await until('all see it empty', () => seen.every((states) => states.at(-1)?.waiting === 0 && !states.at(-1)?.isPaused));
  // Nothing was told twice.
  for (const states of seen) {
    expect(states.filter((state, index) => JSON.stringify(state) === JSON.stringify(states[index - 1]))).toEqual([]);
  }
  for (const { unsubscribe } of stop) unsubscribe();
});

test('what happened in each minute can be asked for', async () => {
  const { points } = await slipway.client.system.queueHistory.query({ minutes: 1_440 });
  for (const point of points) expect(point).toMatchObject({ at: expect.stringMatching(/:00\.000Z$/) });
});
