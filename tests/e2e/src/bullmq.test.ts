// Node's own tools on our Redis: what they see of our queue is right, and what they put into it is done.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as bullmq from 'bullmq';
import * as bullmq5 from 'bullmq5';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { freePort } from './harness/ports.js';
import { Program } from './harness/processes.js';
import { finish, runToEnd, trigger, unique, untilStatus, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

const EXAMPLES = join(import.meta.dirname, '../../../docs/examples');
const prefix = '{slipway}';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

/** An address as ioredis reads it. */
function redisUrl(): string {
  const address = slipway.redisAddress;
  return 'path' in address ? address.path : `redis://${address.host}:${address.port}`;
}

function example(name: string, ...args: string[]): Program {
  const { PATH = '' } = process.env;
  const env = { PATH, REDIS_URL: redisUrl(), PORT: args[0] };
  return new Program(name, process.execPath, [join(EXAMPLES, name), ...args], { env });
}

/** A pipeline that says what it was given. */
async function pipeline(run = 'echo "$SLIPWAY_INPUT_REASON"'): Promise<{ id: string; name: string }> {
  return await slipway.client.pipelines.create.mutate({ name: unique('foreign'), definition: script(run) });
}

async function runsOf(pipelineId: string) {
  return (await slipway.client.runs.list.query({ pipelineId })).items;
}

describe.each([
  { version: '6.7', library: bullmq },
  { version: '5.62', library: bullmq5 as unknown as typeof bullmq },
])('BullMQ $version', ({ library: { Job, Queue, QueueEvents } }) => {
  let queue: bullmq.Queue;
  let events: bullmq.QueueEvents;
  beforeAll(async () => {
    queue = new Queue('pipelines', { prefix, connection: slipway.redisAddress });
    events = new QueueEvents('pipelines', { prefix, connection: slipway.redisAddress });
    await events.waitUntilReady();
  });
  afterAll(async () => {
    await events?.close();
    await queue?.close();
  });

  test('a job that is added becomes a run, and is told which', async () => {
    const { id, name } = await pipeline();
    const job = await queue.add('nightly', { pipelineId: name, branch: 'main', inputs: { REASON: 'nightly' } });
    const result = (await job.waitUntilFinished(events, 60_000)) as unknown;
    const [run, ...others] = await runsOf(id);
    expect(others).toEqual([]);
    expect(result).toEqual({ runId: run?.id, number: 1 });
    expect(run).toMatchObject({ branch: 'main', trigger: { kind: 'queue', by: 'queue' } });
    const { state, lines } = await finish(slipway.client, run?.id ?? '');
    expect(state.status).toBe('succeeded');
    expect(lines.map((line) => line.message)).toContain('nightly');
    const { logs } = await queue.getJobLogs(job.id ?? '');
    expect(logs).toEqual([`It triggered run #1 of ${name}: ${run?.id}`]);
  });

  test('a job whose worker is lost before it is done triggers no second run', async () => {
    const { id } = await pipeline();
    const job = await queue.add('once', { pipelineId: id });
    await job.waitUntilFinished(events, 60_000);
    const key = queue.toKey(job.id ?? '');
    await until('its end is noted', async () => (await slipway.askRedis(`HGET ${key} slipway`)).includes('settled'));
    const runId = (await runsOf(id))[0]?.id ?? '';
    await finish(slipway.client, runId);
    // As it was while a worker had it, and given out again as the queue does with one that is stalled.
    await slipway.askRedis(`ZREM ${queue.toKey('completed')} ${job.id}`);
    await slipway.askRedis(`HDEL ${key} finishedOn returnvalue atm slipway`);
    const done = once(events, 'completed', job.id);
    await slipway.askRedis(`RPUSH ${queue.toKey('wait')} ${job.id}`);
    await slipway.askRedis(`ZADD ${queue.toKey('marker')} 0 0`);
    await done;
    const runs = await runsOf(id);
    expect(runs.map((run) => run.number)).toEqual([1]);
    expect(await slipway.client.runs.get.query({ runId })).toMatchObject({ status: 'succeeded', attempt: 1 });
  });

  test.each([
    { data: {}, said: 'pipelineId: is required' },
    { data: { pipelineId: 'there is none' }, said: 'pipeline there is none not found' },
    { data: { pipelineId: 'x', branch: '--upload-pack=x' }, said: 'branch: ' },
    { data: { pipelineId: 'x', inputs: { REASON: 5 } }, said: 'inputs.REASON: ' },
    { data: { pipelineId: 'x', runId: 'x' }, said: 'runId: is not a field of this input' },
  ])('data that triggers cannot have fails the job at once: $said', async ({ data, said }) => {
    const job = await queue.add('wrong', data, { attempts: 3 });
    await expect(job.waitUntilFinished(events, 60_000)).rejects.toThrow(said);
    const failed = await Job.fromId(queue, job.id ?? '');
    expect(failed).toMatchObject({ attemptsMade: 1 });
    expect(failed?.failedReason).toContain(said);
    expect(failed?.stacktrace).toEqual([failed?.failedReason]);
    expect(await queue.getJobState(job.id ?? '')).toBe('failed');
  });

  test('options that cannot be read are said, and the run is triggered', async () => {
    const { id } = await pipeline();
    const job = await queue.add('odd', { pipelineId: id }, { attempts: 2, backoff: { type: 'fixed', delay: 300.5 } });
    await job.waitUntilFinished(events, 60_000);
    const { logs } = await queue.getJobLogs(job.id ?? '');
    expect(logs[0]).toContain('The options of this job cannot be read and are left out: opts.backoff');
    expect(await runsOf(id)).toHaveLength(1);
  });

  test('retrying a job that triggered a run retries the run', async () => {
    const effects = join(slipway.files, unique('effects'));
    const { id } = await pipeline(`echo begun >> '${effects}'; [ "$(wc -l < '${effects}')" -ge 2 ]`);
    const job = await queue.add('again', { pipelineId: id });
    await job.waitUntilFinished(events, 60_000);
    const runId = (await runsOf(id))[0]?.id ?? '';
    await untilStatus(slipway.client, runId, 'failed');
    const completed = once(events, 'completed', job.id);
    await (await Job.fromId(queue, job.id ?? ''))?.retry('completed');
    await completed;
    await untilStatus(slipway.client, runId, 'succeeded');
    expect(await slipway.client.runs.get.query({ runId })).toMatchObject({ attempt: 2 });
    expect(await runsOf(id)).toHaveLength(1);
  });

  test('its events, states and counts of a run are those of the run', async () => {
    const gate = join(slipway.files, unique('gate'));
    const { id: pipelineId } = await pipeline(`echo begun > '${gate}.begun'; ${waitFor(gate)}; exit 3`);
    // The id is known only to the answer, which may come after the first event.
    const seen: { event: string; jobId: string }[] = [];
    const listeners = (['added', 'active', 'failed'] as const).map((event) => {
      const listen = ({ jobId }: { jobId: string }) => void seen.push({ event, jobId });
      events.on(event, listen);
      return { event, listen };
    });
    const { id: runId } = await slipway.client.pipelines.trigger.mutate({ pipelineId });
    await written(`${gate}.begun`);
    expect(await queue.getJobState(runId)).toBe('active');
    expect(await queue.getJobCounts('active')).toEqual({ active: 1 });
    expect(await queue.getWorkersCount()).toBe(slipway.workerCount);
    writeFileSync(gate, '');
    const ofRun = () => seen.filter(({ jobId }) => jobId === runId).map(({ event }) => event);
    await until('its end is told', () => ofRun().includes('failed'));
    for (const { event, listen } of listeners) events.off(event, listen);
    expect(ofRun()).toEqual(['added', 'active', 'failed']);
    await finish(slipway.client, runId);
    const job = await Job.fromId(queue, runId);
    expect(job?.data).toEqual({ runId });
    expect(job?.failedReason).toContain('work');
    expect(job?.stacktrace).toHaveLength(1);
    expect(job?.processedBy).not.toBe('');
    expect((await queue.getJobLogs(runId)).logs).toEqual([`The log of this run is Slipway's: ${runId}`]);
  });
});

describe('the examples of the documents', () => {
  test('a job is added and its run told', async () => {
    const { id, name } = await pipeline();
    const program = example('trigger.mjs', name, 'main');
    expect(await program.exit(), program.output).toBe(0);
    const [run] = await runsOf(id);
    expect(program.output).toBe(`run #1: ${run?.id}\n`);
    await finish(slipway.client, run?.id ?? '');
  });

  test('a Node worker works on the queue that is kept for others', async () => {
    const worker = example('worker.mjs');
    const queue = new bullmq.Queue('deployments', { prefix, connection: slipway.redisAddress });
    const events = new bullmq.QueueEvents('deployments', { prefix, connection: slipway.redisAddress });
    try {
      await until('the worker works', () => {
        worker.mustRun();
        return worker.output.includes('working');
      });
      await events.waitUntilReady();
      const job = await queue.add('deploy', { version: '1.2.3' });
      expect(await job.waitUntilFinished(events, 60_000)).toEqual({ deployed: '1.2.3' });
      expect(await queue.getWorkers()).toMatchObject([{ rawname: expect.stringContaining(':w:deployer') }]);
    } finally {
      await events.close();
      await queue.close();
      expect(await worker.end('SIGTERM'), worker.output).toBe(0);
    }
  });

  test("Node's Bull Board says what the queue says", async () => {
    await runToEnd(slipway.client, script('true'));
    const failed = await trigger(slipway.client, script('exit 3'));
    await finish(slipway.client, failed.id);
    const port = await freePort();
    const board = example('board.mjs', String(port));
    const queue = new bullmq.Queue('pipelines', { prefix, connection: slipway.redisAddress });
    try {
      await until('the board listens', () => {
        board.mustRun();
        return board.output.includes('listening');
      });
      await until('the queue has settled', async () => (await queue.getJobCounts('active')).active === 0);
      const url = `http://127.0.0.1:${port}/queues/api/queues?activeQueue=pipelines&status=failed&jobsPerPage=100&page=1`;
      const { queues } = (await (await fetch(url)).json()) as { queues: BoardQueue[] };
      expect(queues.map(({ name }) => name)).toEqual(['pipelines', 'deployments']);
      const shown = queues[0];
      const counts = await queue.getJobCounts('completed', 'failed', 'delayed', 'active');
      expect(shown?.counts).toMatchObject(counts);
      expect(counts['failed']).toBeGreaterThan(0);
      const job = await bullmq.Job.fromId(queue, failed.id);
      expect(shown?.jobs.find(({ id }) => id === failed.id)).toMatchObject({
        data: { runId: failed.id },
        failedReason: job?.failedReason,
        stacktrace: job?.stacktrace,
        attempts: 1,
      });
    } finally {
      await queue.close();
      await board.end('SIGTERM');
    }
  });
});

interface BoardQueue {
  name: string;
  counts: Record<string, number>;
  jobs: { id: string; data: unknown; failedReason: string; stacktrace: string[]; attempts: number }[];
}

/** Resolves with the next such event of a job. */
function once(events: bullmq.QueueEvents, event: 'completed' | 'failed', jobId: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const listen = (args: { jobId: string }) => {
      if (args.jobId !== jobId) return;
      events.off(event, listen);
      resolve();
    };
    events.on(event, listen);
  });
}
