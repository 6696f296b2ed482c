import { existsSync, readdirSync } from 'node:fs';

import { TRPCClientError } from '@trpc/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connect, following, type Client, type Run } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, trigger, unique, untilStatus } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
let client: Client;
beforeAll(async () => {
  slipway = await Installation.start({ env: { SLIPWAY_LOG_STREAM_KEEP: '1h', SLIPWAY_CONCURRENCY: '16' } });
  client = slipway.client;
});
afterAll(async () => await slipway?.stop());

const codeOf = async (call: Promise<unknown>) => {
  const error = await call.then(() => undefined).catch((thrown: unknown) => thrown);
  return error instanceof TRPCClientError ? (error as { data: { code: string } }).data.code : 'none';
};

/** Runs of one pipeline that have ended, oldest first. */
async function ended(count: number, text: string): Promise<{ pipelineId: Run['pipelineId']; runs: Run[] }> {
  const { id: pipelineId } = await client.pipelines.create.mutate({ name: unique('old'), definition: script(text) });
  const runs: Run[] = [];
  for (let each = 0; each < count; each += 1) runs.push(await client.pipelines.trigger.mutate({ pipelineId }));
  await Promise.all(runs.map(({ id }) => finish(client, id)));
  return { pipelineId, runs };
}

/** What the object store still has of a run. */
function objectsOf({ id }: Run): string[] {
  if (!existsSync(slipway.objects)) return [];
  return readdirSync(slipway.objects, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes(id));
}

const idsOf = (runs: Run[]) => runs.map(({ id }) => `'${id}'`).join(', ');

/** How many rows the database still has of runs, of their steps, and of what is to go. */
async function rowsOf(...runs: Run[]): Promise<number[]> {
  const columns = ['runs WHERE id', 'steps WHERE run_id', 'removals WHERE run_id'];
  const counts = columns.map((column) => `(SELECT COUNT(*) FROM ${column} IN (${idsOf(runs)}))`);
  const [row] = await slipway.askDatabase(`SELECT ${counts.join(', ')}`);
  return (row ?? []).map(Number);
}

const settled = async (...runs: Run[]) =>
  await until('the ends of the runs are written down', async () => {
    const where = `id IN (${idsOf(runs)}) AND settled AND archived`;
    const [row] = await slipway.askDatabase(`SELECT COUNT(*) FROM runs WHERE ${where}`);
    return Number(row?.[0]) === runs.length;
  });

describe('a run', () => {
  test('that has ended is deleted, and its number is not given again', async () => {
    const { id: pipelineId } = await client.pipelines.create.mutate({ name: unique('old'), definition: script('echo gone') });
    const wanted = { pipelineId, idempotencyKey: 'the-same' };
    const run = await client.pipelines.trigger.mutate(wanted);
    await finish(client, run.id);
    await settled(run);
    expect((await client.pipelines.trigger.mutate(wanted)).id).toBe(run.id);
    expect(await client.runs.delete.mutate({ runId: run.id })).toEqual({ deleted: true });
    expect(await codeOf(client.runs.get.query({ runId: run.id }))).toBe('NOT_FOUND');
    expect(await codeOf(client.runs.delete.mutate({ runId: run.id }))).toBe('NOT_FOUND');
    expect(await codeOf(client.runs.logs.query({ runId: run.id }))).toBe('NOT_FOUND');
    await until('nothing is left of it', async () => (await rowsOf(run)).every((count) => count === 0));
    expect(objectsOf(run)).toEqual([]);
    // Its idempotency key is free.
    expect((await client.pipelines.trigger.mutate(wanted)).number).toBe(2);
  });

  test('that has not ended is not deleted, and a viewer deletes nothing', async () => {
    const run = await trigger(client, script('sleep 30'));
    await untilStatus(client, run.id, 'running');
    expect(await codeOf(client.runs.delete.mutate({ runId: run.id }))).toBe('CONFLICT');
    expect(await codeOf(client.runs.purgeLog.mutate({ runId: run.id }))).toBe('CONFLICT');
    const { value: secret } = await client.tokens.create.mutate({ name: unique('viewer'), role: 'operator' });
    const operator = connect(slipway.url, secret);
    await operator.runs.cancel.mutate({ runId: run.id });
    await finish(client, run.id);
    for (const call of [operator.runs.delete.mutate({ runId: run.id }), operator.runs.purgeLog.mutate({ runId: run.id })])
      expect(await codeOf(call)).toBe('FORBIDDEN');
  });

  test('whose log is purged stays, says so, has no line left anywhere, and is not tried again', async () => {
    const { runs } = await ended(1, 'echo "a word to be purged"; exit 3');
    const [run] = runs;
    if (run === undefined) throw new Error('no run');
    await settled(run);
    const purged = await client.runs.purgeLog.mutate({ runId: run.id });
    expect(purged).toMatchObject({ status: 'failed', lines: 0, logPurgedBy: 'admin' });
    expect(await client.runs.purgeLog.mutate({ runId: run.id })).toEqual(purged);
    expect(await client.runs.logs.query({ runId: run.id })).toMatchObject({ items: [], total: 0 });
    expect((await finish(client, run.id)).lines).toEqual([]);
    expect(await codeOf(client.runs.retry.mutate({ runId: run.id }))).toBe('CONFLICT');
    await until('nothing is left of it', async () => (await rowsOf(run))[2] === 0);
  });
});

describe('many runs at once', () => {
  test('are previewed, and what is done is what was previewed; later runs are left alone', async () => {
    const { pipelineId, runs } = await ended(25, 'true');
    await settled(...runs);
    const wanted = { action: 'delete', pipelineId } as const;
    const preview = await client.runs.previewBulk.query(wanted);
    expect(preview).toMatchObject({ total: 25, more: false, skipped: 0 });
    expect(preview.sample[0]?.id).toBe(runs.at(-1)?.id);
    const later = await client.pipelines.trigger.mutate({ pipelineId });
    await finish(client, later.id);
    const work = await client.runs.startBulk.mutate({ ...wanted, until: preview.until });
    const told = await following<{ state: string; done: number }>((handlers) =>
      client.runs.watchBulk.subscribe({ bulkId: work.id }, handlers),
    ).done;
    expect(told.at(-1)).toMatchObject({ state: 'done', done: 25, skipped: 0, total: 25, startedBy: 'admin' });
    const left = await client.runs.list.query({ pipelineId });
    expect(left.items.map(({ id }) => id)).toEqual([later.id]);
    const trail = await client.audit.list.query({ limit: 10 });
    expect(trail.items.some(({ action, detail }) => action === 'runs.bulk' && /delete of 25 runs: 25 done/.test(detail ?? ''))).toBe(true);
  });

  test('are left as they are once it is stopped', async () => {
    const { pipelineId, runs } = await ended(3, 'true');
    const wanted = { action: 'retry', pipelineId } as const;
    const { until: before } = await client.runs.previewBulk.query(wanted);
    const { id: bulkId } = await client.runs.startBulk.mutate({ ...wanted, until: before });
    await client.runs.stopBulk.mutate({ bulkId });
    await until('it has stopped', async () => (await client.runs.getBulk.query({ bulkId })).finishedAt !== null);
    const { state, done, skipped } = await client.runs.getBulk.query({ bulkId });
    expect(['stopped', 'done']).toContain(state);
    const tried = (await client.runs.list.query({ pipelineId })).items.filter(({ attempt }) => attempt === 2).length;
    expect({ tried, skipped }).toEqual({ tried: done, skipped: 0 });
    expect(runs.length - tried).toBe(state === 'stopped' ? 3 - done : 0);
  });

  test('are done by who may do it, to what they may do it to', async () => {
    const { pipelineId } = await ended(1, 'true');
    const { value: secret } = await client.tokens.create.mutate({ name: unique('operator'), role: 'operator' });
    const operator = connect(slipway.url, secret);
    const wanted = { action: 'delete', pipelineId } as const;
    expect(await codeOf(operator.runs.previewBulk.query(wanted))).toBe('FORBIDDEN');
    expect(await operator.runs.previewBulk.query({ action: 'delete' })).toMatchObject({ total: 0 });
    const retry = await operator.runs.previewBulk.query({ action: 'retry', pipelineId });
    expect(retry).toMatchObject({ total: 1, skipped: 0 });
    const { id: bulkId } = await operator.runs.startBulk.mutate({ action: 'retry', pipelineId, until: retry.until });
    await until('it is done', async () => (await operator.runs.getBulk.query({ bulkId })).state === 'done');
    expect((await client.runs.list.query({ pipelineId })).items[0]?.attempt).toBe(2);
  });
});

test('what has had its time goes by itself, but for the last runs of a pipeline', async () => {
  const { pipelineId, runs } = await ended(4, 'echo old');
  await settled(...runs);
  await client.pipelines.update.mutate({ pipelineId, retention: { logs: '1d' } });
  await slipway.terminate();
  const [first, second, third, fourth] = runs;
  if (first === undefined || second === undefined) throw new Error('no runs');
  await slipway.askDatabase(
    `UPDATE runs SET finished_at = finished_at - 200000000 WHERE id IN ('${first.id}', '${third?.id}')`,
    `UPDATE runs SET finished_at = finished_at - 100000000 WHERE id = '${second.id}'`,
  );
  slipway.setEnvironment({ SLIPWAY_RETENTION_RUNS: '2d', SLIPWAY_RETENTION_RUNS_MIN: '2' });
  await slipway.startPrograms();
  const listed = async () => (await slipway.client.runs.list.query({ pipelineId })).items.map(({ id }) => id);
  const logOf = async ({ id: runId }: Run) => await slipway.client.runs.logs.query({ runId });
  await until('the old one is gone', async () => (await listed()).length === 3);
  expect(await listed()).toEqual([fourth?.id, third?.id, second.id]);
  expect(await codeOf(slipway.client.runs.get.query({ runId: first.id }))).toBe('NOT_FOUND');
  await until('the old log is gone', async () => (await logOf(second)).total === 0);
  expect(await slipway.client.runs.get.query({ runId: second.id })).toMatchObject({ logPurgedBy: 'retention' });
  if (third !== undefined) expect((await logOf(third)).items.some(({ message }) => message === 'old')).toBe(true);
  await until('their files are gone', () => objectsOf(first).length + objectsOf(second).length === 0);
  const told = async () =>
    (await slipway.client.audit.list.query({ target: pipelineId })).items.find(({ action }) => action === 'runs.retain');
  await until('it is on record', async () => (await told()) !== undefined);
  expect(await told()).toMatchObject({ actor: 'retention', targetKind: 'pipeline' });
});

test('many runs go on where a killed worker stopped', async () => {
  const { pipelineId, runs } = await ended(24, 'exit 3');
  await settled(...runs);
  const wanted = { action: 'delete', pipelineId, status: 'failed' } as const;
  const { until: before } = await client.runs.previewBulk.query(wanted);
  const { id: bulkId } = await client.runs.startBulk.mutate({ ...wanted, until: before });
  await until('some are done', async () => (await client.runs.getBulk.query({ bulkId })).done > 0);
  await slipway.kill();
  await slipway.startPrograms();
  await until('all are done', async () => (await slipway.client.runs.getBulk.query({ bulkId })).state === 'done');
  // Whatever it was at when it was killed is counted once.
  expect(await slipway.client.runs.getBulk.query({ bulkId })).toMatchObject({ total: 24, done: 24, skipped: 0 });
  expect((await slipway.client.runs.list.query({ pipelineId })).items).toEqual([]);
  expect((await rowsOf(...runs)).slice(0, 2)).toEqual([0, 0]);
  expect((await slipway.client.runs.stopBulk.mutate({ bulkId })).state).toBe('done');
  // Nothing that is to follow is left.
  await until('nothing is left of them', async () => (await rowsOf(...runs)).every((count) => count === 0));
});

test('what a killed server had still to clear away is cleared once it is back', async () => {
  const { runs } = await ended(2, 'echo "to be cleared away"');
  const [deleted, purged] = runs;
  if (deleted === undefined || purged === undefined) throw new Error('no runs');
  await settled(...runs);
  // Nothing but the database can be reached: what lies elsewhere has to wait.
  slipway.signalRedis('SIGSTOP');
  await slipway.client.runs.delete.mutate({ runId: deleted.id });
  await slipway.client.runs.purgeLog.mutate({ runId: purged.id });
  expect(await rowsOf(deleted)).toEqual([0, 0, 1]);
  expect((await rowsOf(purged))[2]).toBe(1);
  expect(objectsOf(deleted).length).toBeGreaterThan(0);
  expect(objectsOf(purged).length).toBeGreaterThan(0);
  await slipway.kill();
  // A private one ends with its server.
  if (slipway.redisKind === 'shared') slipway.signalRedis('SIGCONT');
  await slipway.startPrograms();
  for (const run of runs) {
    await until(`nothing is left of ${run.id}`, async () => (await rowsOf(run))[2] === 0);
    expect(objectsOf(run)).toEqual([]);
  }
  expect(await slipway.client.runs.logs.query({ runId: purged.id })).toMatchObject({ items: [], total: 0 });
});
