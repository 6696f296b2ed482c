import { writeFileSync } from 'node:fs';

import { Ajv2020 } from 'ajv/dist/2020.js';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ask, type Answer } from './board/api.js';
import { outcome, type Run } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, trigger, unique, untilStatus, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

const PREFIX = '{slipway}';

let slipway: Installation;
let redis: Redis;
beforeAll(async () => {
  slipway = await Installation.start();
  redis = new Redis(slipway.redisAddress);
});
afterAll(async () => {
  redis?.disconnect();
  await slipway?.stop();
});

const put = async (path: string, body?: unknown): Promise<Answer> => await ask(slipway, 'PUT', path, body);
const patch = async (path: string, body: unknown): Promise<Answer> => await ask(slipway, 'PATCH', path, body);
const runOf = async (runId: string) => await slipway.client.runs.get.query({ runId });
const jobOf = (run: Run) => `/queues/pipelines/${run.id}`;
const stateOf = async (run: Run): Promise<string | undefined> =>
  ((await ask(slipway, 'GET', jobOf(run))).body as { status?: string }).status;
const ended = { status: 204, body: null };
const done = { status: 200, body: {} };

/** Triggers a run that fails at once, and waits until the queue has put its job away. */
async function failed(run = 'exit 3'): Promise<Run> {
  const triggered = await trigger(slipway.client, script(run));
  await finish(slipway.client, triggered.id);
  await until('the job is put away', async () => (await stateOf(triggered)) === 'failed');
  return triggered;
}

test('the board is shown to whoever may look, and changed by whoever may change', async () => {
  const page = await fetch(`${slipway.url}/admin/queues`, { redirect: 'manual' });
  expect([page.status, page.headers.get('location')]).toEqual([303, '/']);
  const stranger = await fetch(`${slipway.url}/admin/queues/api/queues`);
  expect(stranger.status).toBe(401);
  expect(await stranger.json()).toMatchObject({ error: { key: 'ERRORS.FORBIDDEN' } });

  const token = async (role: 'viewer' | 'operator') =>
    (await slipway.client.tokens.create.mutate({ name: unique(role), role })).value;
  const [viewer, operator] = [await token('viewer'), await token('operator')];
  const as = async (who: string, method: string, path: string) => await ask(slipway, method, path, undefined, who);
  const { body } = await as(viewer, 'GET', '/queues');
  expect(body).toMatchObject({ queues: [{ readOnlyMode: true, allowRetries: false }, { readOnlyMode: true }] });
  for (const path of ['/queues/deployments/pause', '/queues/pause', '/queues/deployments/nope/retry']) {
    expect((await as(viewer, 'PUT', path)).status).toBe(405);
  }
  expect(await as(operator, 'PUT', '/queues/deployments/pause')).toEqual(done);
  expect(await as(operator, 'PUT', '/queues/deployments/resume')).toEqual(done);
  for (const path of ['empty', 'obliterate', 'clean/failed', 'rate-limit/release']) {
    expect((await as(operator, 'PUT', `/queues/deployments/${path}`)).status).toBe(403);
  }

  // A browser's cookie goes along with whatever another page asks for.
  const entered = await fetch(slipway.signInLink, { redirect: 'manual' });
  const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? '';
  const call = async (headers: Record<string, string>) => {
    const url = `${slipway.url}/admin/queues/api/queues/deployments/resume`;
    return (await fetch(url, { method: 'PUT', headers: { cookie, ...headers } })).status;
  };
  expect(await call({})).toBe(403);
  expect(await call({ origin: 'http://127.0.0.1:1' })).toBe(403);
  expect(await call({ origin: slipway.url })).toBe(200);
});

test('a retry of a job is one of its run, with all attempts to come, also where the job is gone', async () => {
  const run = await failed();
  await redis.hset(`${PREFIX}:pipelines:${run.id}`, 'stc', 2);
  expect(await put(`${jobOf(run)}/retry`)).toEqual(ended);
  await until('it has failed again', async () => (await runOf(run.id)).attempt === 2 && (await stateOf(run)) === 'failed');
  expect(await redis.hget(`${PREFIX}:pipelines:${run.id}`, 'stc')).toBeNull();
  expect(await redis.hget(`${PREFIX}:pipelines:${run.id}`, 'atm')).toBe('1');

  expect(await put(`${jobOf(run)}/clean`)).toEqual(ended);
  expect((await ask(slipway, 'GET', jobOf(run))).status).toBe(404);
  expect((await runOf(run.id)).status).toBe('failed');
  expect(await put(`${jobOf(run)}/retry`)).toEqual(ended);
  await until('it has failed a third time', async () => {
    const { attempt, status } = await runOf(run.id);
    return attempt === 3 && status === 'failed';
  });
});

test('what is active is neither removed nor tried again, and a bulk retry leaves canceled runs out', async () => {
  const file = `${slipway.files}/${unique('go')}`;
  const run = await trigger(slipway.client, script(waitFor(file)));
  await untilStatus(slipway.client, run.id, 'running');
  expect((await put(`${jobOf(run)}/clean`)).status).toBe(409);
  expect(await put(`${jobOf(run)}/retry`)).toMatchObject({
    status: 400,
    body: { error: { key: 'ERRORS.JOB_NOT_RETRIABLE', options: { state: 'running' } } },
  });
  expect((await runOf(run.id)).status).toBe('running');
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  await outcome(slipway.client, run.id);
  await until('its job is put away', async () => (await stateOf(run)) === 'failed');

  const other = await failed();
  const { body } = await put('/queues/pipelines/retry/failed');
  const { retried, skipped } = body as { retried: number; skipped: number };
  expect(retried).toBeGreaterThanOrEqual(1);
  expect(skipped).toBe(1);
  expect((await runOf(run.id)).status).toBe('canceled');
  await until('the other has failed again', async () => (await runOf(other.id)).attempt === 2);
  // That one alone, because somebody wants it.
  expect(await put(`${jobOf(run)}/retry`)).toEqual(ended);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  await outcome(slipway.client, run.id);
});

test('what waits takes its run along when it is removed, one by one or all at once', async () => {
  expect(await put('/queues/pipelines/pause')).toEqual(done);
  const runs: Run[] = [];
  for (let index = 0; index < 4; index += 1) runs.push(await trigger(slipway.client, script('true')));
  const [first, ...others] = runs;
  if (first === undefined) throw new Error('there is no run');
  await until('all wait', async () => (await Promise.all(runs.map(stateOf))).every((state) => state === 'waiting'));
  expect(await patch(`${jobOf(first)}/update-data`, { jobData: {} })).toMatchObject({
    status: 400,
    body: { error: { key: 'ERRORS.JOB_EDIT_NOT_SUPPORTED' } },
  });
  expect(await put(`${jobOf(first)}/clean`)).toEqual(ended);
  expect((await runOf(first.id)).status).toBe('canceled');
  for (const run of others) expect((await runOf(run.id)).status).toBe('queued');

  expect(await patch(`${jobOf(others[0] ?? first)}/priority`, { priority: 3 })).toEqual(done);
  expect(await put('/queues/pipelines/empty')).toEqual(done);
  for (const run of others) {
    expect((await runOf(run.id)).status).toBe('canceled');
    expect((await ask(slipway, 'GET', jobOf(run))).status).toBe(404);
  }
  expect(await put('/queues/pipelines/resume')).toEqual(done);
  const { state } = await finish(slipway.client, (await trigger(slipway.client, script('true'))).id);
  expect(state.status).toBe('succeeded');
});

test('the time of a next attempt can be changed, and is the run’s', async () => {
  const retry = { attempts: 2, delay: '1h' };
  const run = await trigger(slipway.client, definition([{ name: 'work', run: 'exit 1' }], { retry }));
  await until('it waits for its next attempt', async () => (await stateOf(run)) === 'delayed');
  const runAt = Date.now() + 2 * 60 * 60 * 1000;
  expect(await patch(`${jobOf(run)}/delay`, { runAt })).toEqual(done);
  expect(Date.parse((await runOf(run.id)).nextAttemptAt ?? '')).toBe(runAt);
  expect(await put(`${jobOf(run)}/promote`)).toEqual(ended);
  const { state } = await finish(slipway.client, run.id);
  expect([state.status, state.attempt]).toEqual(['failed', 2]);
});

test('an added job is a trigger, and a duplicate the same one again', async () => {
  const made = await trigger(slipway.client, script('echo $SLIPWAY_INPUT_WHO'), { inputs: { who: 'me' } });
  await finish(slipway.client, made.id);
  const add = async (data: unknown) => await ask(slipway, 'POST', '/queues/pipelines/add', { name: 'x', data });
  for (const data of [{ pipelineId: made.pipelineId, inputs: { who: 'you' } }, { runId: made.id }]) {
    const { status, body } = await add(data);
    expect(status).toBe(200);
    const { id, externalUrl } = (body as { job: { id: string; externalUrl: { href: string } } }).job;
    expect(externalUrl.href).toBe(`/r/${id}`);
    const run = await runOf(id);
    expect(run.pipelineId).toBe(made.pipelineId);
    expect(run.inputs).toEqual('runId' in data ? { who: 'me' } : { who: 'you' });
    await finish(slipway.client, id);
  }
  for (const unknown of [{ pipelineId: 'nobody' }, { runId: '01890a5d-ac96-774b-bcce-b302099a8057' }]) {
    expect((await add(unknown)).status).toBe(404);
  }
  // What is wrong is told as every trigger is told it, and the form that an editor checks says the same.
  const { body: schema } = await ask(slipway, 'GET', '/queues/pipelines/job-data-schema');
  const check = new Ajv2020({ strict: false }).compile(schema as object);
  for (const [wrong, said] of [
    [{}, 'data: pipelineId: is required'],
    [null, 'data: pipelineId: is required'],
    ['x', 'data: "x" is not of type "object"'],
    [{ pipelineId: made.pipelineId, branch: '-x' }, 'data: branch: '],
    [{ pipelineId: made.pipelineId, inputs: { who: 1 } }, 'data: inputs.who: '],
    [{ pipelineId: made.pipelineId, runId: made.id }, 'data: runId: is not a field'],
    [{ runId: made.id, branch: 'main' }, 'data: '],
    [{ runId: 'x' }, 'data: '],
  ] as const) {
    const { status, body } = await add(wrong);
    expect([status, (body as { message: string }).message]).toEqual([400, expect.stringContaining(said)]);
    expect(check(wrong)).toBe(false);
  }
  for (const right of [{ pipelineId: made.pipelineId, inputs: { who: 'you' } }, { runId: made.id }]) {
    expect(check(right)).toBe(true);
  }
});

test('the run of a job that another program added goes the way of that job', async () => {
  const { client } = slipway;
  const queue = new Queue('pipelines', { prefix: PREFIX, connection: slipway.redisAddress });
  try {
    const added = async (definition: string) => {
      const { id } = await client.pipelines.create.mutate({ name: unique('foreign'), definition });
      const job = `/queues/pipelines/${(await queue.add('foreign', { pipelineId: id })).id}`;
      const runs = async () => (await client.runs.list.query({ pipelineId: id })).items;
      return { job, runs, run: async () => await until('it is a run', async () => (await runs())[0]) };
    };
    // One that waits for its next attempt is canceled.
    const waits = await added(definition([{ name: 'work', run: 'exit 1' }], { retry: { attempts: 2, delay: '1h' } }));
    const waiting = await waits.run();
    await until('it waits for its next attempt', async () => (await runOf(waiting.id)).nextAttemptAt !== null);
    const shown = (await ask(slipway, 'GET', waits.job)).body as { job: { externalUrl?: { href: string } } };
    expect(shown.job.externalUrl?.href).toBe(`/r/${waiting.id}`);
    expect(await put(`${waits.job}/clean`)).toEqual(ended);
    expect((await outcome(client, waiting.id)).status).toBe('canceled');
    // One that a worker has is not.
    const file = `${slipway.files}/${unique('go')}`;
    const works = await added(script(waitFor(file)));
    const working = await works.run();
    await untilStatus(client, working.id, 'running');
    expect((await put(`${works.job}/clean`)).status).toBe(409);
    expect((await runOf(working.id)).status).toBe('running');
    writeFileSync(file, '');
    // One that has ended stays as it is.
    expect((await outcome(client, working.id)).status).toBe('succeeded');
    expect(await put(`${works.job}/clean`)).toEqual(ended);
    expect((await ask(slipway, 'GET', works.job)).status).toBe(404);
    expect((await runOf(working.id)).status).toBe('succeeded');
    // And one that has not become a run never does.
    expect(await put('/queues/pipelines/pause')).toEqual(done);
    const never = await added(script('true'));
    expect(await put(`${never.job}/clean`)).toEqual(ended);
    expect(await put('/queues/pipelines/resume')).toEqual(done);
    await finish(client, (await trigger(client, script('true'))).id);
    expect(await never.runs()).toEqual([]);
  } finally {
    await queue.close();
  }
});

test('the log of a job is the end of the run’s, and says where the rest is', async () => {
  const run = await trigger(slipway.client, script('seq 1500'));
  const { lines } = await finish(slipway.client, run.id);
  const { body } = await ask(slipway, 'GET', `${jobOf(run)}/logs`);
  const shown = body as string[];
  expect(shown.length).toBe(1_001);
  expect(shown[0]).toBe(`${lines.length - 1_000} lines come before these: /r/${run.id}`);
  expect(shown).toContain('[work] 1500');
});

test('however long a queue is, no call to Redis touches more than a slice of it', async () => {
  const JOBS = 20_000;
  const FAILED = JOBS / 10;
  const SLICE = 100;
  for (let from = 0; from < JOBS; from += 1_000) {
    const batch = redis.pipeline();
    for (let index = from; index < from + 1_000; index += 1) {
      const key = `${PREFIX}:deployments:long-${index}`;
      batch.hset(key, { name: 'x', data: '{}', opts: '{}', timestamp: '1', delay: '0', priority: '0' });
      if (index % 10 > 0) batch.lpush(`${PREFIX}:deployments:wait`, `long-${index}`);
      else batch.zadd(`${PREFIX}:deployments:failed`, 1_000 + index, `long-${index}`);
    }
    await batch.exec();
  }
  await redis.config('SET', 'slowlog-max-len', 200_000);
  await redis.config('SET', 'slowlog-log-slower-than', 0);
  await redis.call('SLOWLOG', 'RESET');
  const counts = async () => {
    const { body } = await ask(slipway, 'GET', '/queues');
    return (body as { queues: { counts: Record<string, number> }[] }).queues[1]?.counts;
  };
  expect(await counts()).toMatchObject({ waiting: JOBS - FAILED, failed: FAILED });
  expect(await put('/queues/deployments/retry/failed')).toEqual({ status: 200, body: { retried: FAILED, skipped: 0 } });
  expect(await put('/queues/deployments/empty')).toEqual(done);
  expect(await counts()).toMatchObject({ waiting: 0, failed: 0 });

  const log = (await redis.call('SLOWLOG', 'GET', '-1')) as [number, number, number, string[]][];
  await redis.config('SET', 'slowlog-log-slower-than', -1);
  const longest = log.reduce((most, entry) => (most[2] < entry[2] ? entry : most));
  console.log(`of ${log.length} calls to Redis the longest took ${longest[2]} µs: ${longest[3].slice(0, 4).join(' ')}`);
  for (const [, , , words] of log) {
    const more = /\((\d+) more arguments\)/.exec(words.at(-1) ?? '');
    expect(words.length + Number(more?.[1] ?? 0)).toBeLessThan(SLICE + 20);
    const [command, key = '', start, end] = words;
    if (/^(LRANGE|ZRANGE)$/i.test(command ?? '') && /:deployments:(wait|failed)$/.test(key)) {
      expect(Number(end) - Number(start)).toBeLessThan(SLICE);
    }
  }
  expect(await redis.exists(`${PREFIX}:deployments:long-0`)).toBe(0);
});

test('of a queue that is obliterated nothing is left, also of a run that takes its time to end', async () => {
  const slow = await trigger(slipway.client, script("trap 'sleep 2; exit 1' TERM; echo begun; while :; do sleep 0.1 || :; done"));
  const linesOf = async () => (await slipway.client.runs.logs.query({ runId: slow.id })).items;
  await until('its step has begun', async () => (await linesOf()).some(({ message }) => message === 'begun'));
  expect(await put('/queues/pipelines/pause')).toEqual(done);
  const waiting = await trigger(slipway.client, script('true'));
  expect(await put('/queues/pipelines/obliterate', { force: true })).toEqual(done);
  for (const { id } of [slow, waiting]) expect((await runOf(id)).status).toBe('canceled');
  const keys = await redis.keys(`${PREFIX}:pipelines:*`);
  // What workers keep while they live, and what belongs to no job.
  const states = ['wait', 'active', 'paused', 'delayed', 'prioritized', 'waiting-children', 'completed', 'failed'];
  expect(keys.filter((key) => states.includes(key.split(':').at(-1) ?? '') || key.includes(slow.id))).toEqual([]);
  const { state } = await finish(slipway.client, (await trigger(slipway.client, script('true'))).id);
  expect(state.status).toBe('succeeded');
});

test('while Redis is away the board says so, and is there again with it', async () => {
  slipway.signalRedis('SIGSTOP');
  try {
    await until('the board says that Redis is away', async () => {
      const { status, body } = await ask(slipway, 'GET', '/queues');
      if (status === 200) return false;
      expect({ status, body }).toEqual({ status: 503, body: { error: { key: 'ERRORS.REDIS_UNAVAILABLE' } } });
      return true;
    });
    const { status } = await put('/queues/deployments/pause');
    expect(status).toBe(503);
  } finally {
    slipway.signalRedis('SIGCONT');
  }
  await until('the queues are shown again', async () => (await ask(slipway, 'GET', '/queues')).status === 200);
});
