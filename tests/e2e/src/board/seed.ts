import { FlowProducer, Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';

import type { Installation } from '../harness/installation.js';
import { until } from '../harness/until.js';

interface Data {
  n?: number | string;
}

/** What was seeded, and what keeps it as it is. */
export interface Seeded {
  pipelines: Queue;
  deployments: Queue;
  redis: Redis;
  /** In milliseconds; what comes later was put there by the test. */
  seededAt: number;
  stop: () => Promise<void>;
}

/**
 * Jobs in every state in both queues, put there by Node's BullMQ alone: the ones that the answers of the real Bull Board
 * were taken from. One stays active, in the hands of a worker.
 */
export async function seed(connection: Installation['redisAddress'], prefix: string): Promise<Seeded> {
  const common = { connection, prefix };
  const defaultJobOptions = { attempts: 1, removeOnComplete: { count: 1000, age: 86_400 }, removeOnFail: 500 };
  const pipelines = new Queue('pipelines', { ...common, defaultJobOptions });
  const deployments = new Queue('deployments', common);
  const flow = new FlowProducer(common);
  const redis = new Redis(connection);
  let release = () => {};
  const hang = new Promise<void>((resolve) => {
    release = resolve;
  });

  const work = async (job: Job<Data>): Promise<unknown> => {
    switch (job.name) {
      case 'build':
        await job.log('cloning repo');
        await job.log('npm ci');
        await job.log('done ✓');
        await job.updateProgress(50);
        await job.updateProgress(100);
        return { artifact: `build-${job.data.n}.tgz`, size: 1024 };
      case 'progress-object':
        await job.updateProgress({ step: 2, of: 5, label: 'compiling' });
        return 'plain string';
      case 'progress-string':
        await job.updateProgress('almost');
        return 42;
      case 'returns-null':
        return null;
      case 'returns-nothing':
        return undefined;
      case 'flaky':
        throw new TypeError(`boom on attempt ${job.attemptsMade + 1}`);
      case 'fatal':
        throw new UnrecoverableError('do not retry me');
      case 'hang':
        await job.updateProgress(33);
        await job.log('still running');
        await hang;
        return 'late';
      case 'heartbeat':
        return 'beat';
      case 'child-ok':
        return { ok: true, n: job.data.n };
      case 'child-bad':
        throw new Error('child exploded');
      default:
        return 'ok';
    }
  };
  const stateOf = async (queue: Queue, id: string) => await (await Job.fromId(queue, id))?.getState();
  const metrics = { maxDataPoints: 60 };

  // What finishes.
  const first = new Worker('pipelines', work, { ...common, concurrency: 4, metrics, name: 'phase1' });
  const deploy = new Worker('deployments', work, { ...common, concurrency: 4, metrics, name: 'phase1-deploy' });
  for (const worker of [first, deploy]) worker.on('error', () => undefined);
  for (let n = 1; n <= 12; n += 1) await pipelines.add('build', { n, repo: 'org/app' });
  await pipelines.add('progress-object', { a: 1 });
  await pipelines.add('progress-string', 'string data');
  await pipelines.add('returns-null', null);
  await pipelines.add('returns-nothing', { html: '<b>&"\'</b>', uni: 'žluťoučký 🐎' });
  await pipelines.add('flaky', { n: 'flaky' }, { attempts: 2, backoff: { type: 'fixed', delay: 10 } });
  await pipelines.add('flaky', { n: 'flaky-2' }, { attempts: 1 });
  await pipelines.add('fatal', { n: 'fatal' }, { attempts: 5 });
  await pipelines.add('build', { n: 'custom' }, { jobId: 'custom/id 1' });
  await deployments.upsertJobScheduler('ticker', { every: 1500 }, { name: 'heartbeat', data: { src: 'ticker' } });
  await flow.add({
    ...{ name: 'release', queueName: 'pipelines', data: { v: '1.0.0' }, opts: { jobId: 'flow-done' } },
    children: [
      { name: 'child-ok', queueName: 'deployments', data: { n: 1 }, opts: { jobId: 'flow-done-c1' } },
      { name: 'child-ok', queueName: 'pipelines', data: { n: 2 }, opts: { jobId: 'flow-done-c2' } },
    ],
  });
  const ignored = { jobId: 'flow-ignored-c1', ignoreDependencyOnFailure: true };
  await flow.add({
    ...{ name: 'release', queueName: 'pipelines', data: { v: '1.1.0' }, opts: { jobId: 'flow-ignored' } },
    children: [
      { name: 'child-bad', queueName: 'deployments', data: { n: 1 }, opts: ignored },
      { name: 'child-ok', queueName: 'deployments', data: { n: 2 }, opts: { jobId: 'flow-ignored-c2' } },
    ],
  });
  for (const id of ['flow-done', 'flow-ignored']) {
    await until(`${id} is completed`, async () => (await stateOf(pipelines, id)) === 'completed');
  }
  await until('three jobs have failed', async () => ((await pipelines.getJobCounts())['failed'] ?? 0) >= 3);
  await until('the scheduler has made two jobs', async () => {
    const scheduler = await deployments.getJobScheduler('ticker');
    return (scheduler?.iterationCount ?? 0) >= 2;
  });
  // Before the second one's time has come: it is still to be seen.
  await deploy.close();
  await pipelines.add('build', { n: 'after-roll' }, { jobId: 'metrics-ok' });
  await pipelines.add('flaky', { n: 'after-roll' }, { jobId: 'metrics-bad', attempts: 1 });
  for (const [id, state] of [['metrics-ok', 'completed'], ['metrics-bad', 'failed']] as const) {
    await until(`${id} has ended`, async () => (await stateOf(pipelines, id)) === state);
  }
  // A child that fails its parent, which nobody takes.
  const deferred = { jobId: 'flow-deferred-c1', failParentOnFailure: true };
  await flow.add({
    ...{ name: 'release', queueName: 'deployments', data: { v: '0.9' }, opts: { jobId: 'flow-deferred' } },
    children: [{ name: 'child-bad', queueName: 'pipelines', data: { n: 1 }, opts: deferred }],
  });
  await until('the child has failed', async () => (await stateOf(pipelines, 'flow-deferred-c1')) === 'failed');
  await first.close();

  // One that is active.
  const runner = new Worker('pipelines', work, { ...common, concurrency: 1, metrics, name: 'runner-1' });
  runner.on('error', () => undefined);
  await pipelines.add('hang', { n: 'hang' }, { jobId: 'active-1' });
  await until('a job is active', async () => (await pipelines.getActiveCount()) === 1);

  // What waits.
  await pipelines.add('build', { n: 'w1' }, { jobId: 'wait-1' });
  await pipelines.add('build', { n: 'w2' }, { jobId: 'wait-2', removeOnComplete: true, keepLogs: 5 });
  await pipelines.add('build', { n: 'lifo' }, { jobId: 'wait-lifo', lifo: true });
  const deduplication = { id: 'dedup-key-1', ttl: 600_000 };
  await pipelines.add('build', { n: 'dedup' }, { jobId: 'wait-dedup', deduplication });
  await pipelines.add('build', { n: 'p5' }, { jobId: 'prio-5', priority: 5 });
  await pipelines.add('build', { n: 'p1' }, { jobId: 'prio-1', priority: 1 });
  await pipelines.add('build', { n: 'd1' }, { jobId: 'delayed-1', delay: 3_600_000 });
  await pipelines.add('build', { n: 'd2' }, { jobId: 'delayed-2', delay: 7_200_000, priority: 3 });
  await flow.add({
    ...{ name: 'release', queueName: 'pipelines', data: { v: '2.0.0' }, opts: { jobId: 'flow-parent' } },
    children: [
      {
        ...{ name: 'deploy', queueName: 'deployments', data: { env: 'stage' }, opts: { jobId: 'flow-c1' } },
        children: [{ name: 'smoke', queueName: 'deployments', data: {}, opts: { jobId: 'flow-c1-g1' } }],
      },
      { name: 'build', queueName: 'pipelines', data: { n: 'fc2' }, opts: { jobId: 'flow-c2' } },
    ],
  });
  await pipelines.upsertJobScheduler(
    'nightly',
    { pattern: '0 0 3 * * *', tz: 'Europe/Prague' },
    { name: 'build', data: { n: 'nightly' }, opts: { attempts: 2, removeOnComplete: 10 } },
  );
  await pipelines.upsertJobScheduler(
    'every-hour',
    { every: 3_600_000, limit: 100, startDate: Date.now() + 3_600_000 },
    { name: 'build', data: { n: 'hourly' } },
  );
  await deployments.add('deploy', { env: 'later' }, { jobId: 'dep-delayed-1', delay: 3_600_000 });
  await deployments.pause();
  await deployments.add('deploy', { env: 'prod' }, { jobId: 'paused-1' });
  await deployments.add('deploy', { env: 'prod' }, { jobId: 'paused-2' });

  const stop = async () => {
    await runner.close(true);
    release();
    for (const open of [pipelines, deployments, flow]) await open.close();
    redis.disconnect();
  };
  return { pipelines, deployments, redis, seededAt: Date.now(), stop };
}
