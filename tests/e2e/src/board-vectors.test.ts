import { readFileSync } from 'node:fs';

import { Ajv, type ValidateFunction } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ask } from './board/api.js';
import { seed, type Seeded } from './board/seed.js';
import { Installation } from './harness/installation.js';

/** What the real Bull Board 9.10.2 answered, over BullMQ 6.7.0, to requests in this order. */
interface Vector {
  name: string;
  method: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  status: number;
  answer: unknown;
}

const PREFIX = '{slipway}';
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`board/${name}`, import.meta.url), 'utf8'));
const vectors = read('vectors.json') as Vector[];
const schemas = read('schemas.json') as { responses: Record<string, object>; ErrorResponseBody: object };
const ajv = new Ajv({ strict: false });

class AnyText {}

/** Where Slipway answers otherwise, and how. */
const OTHERWISE: Record<string, { status: number; answer: unknown }> = {
  // What a job's options are is up to its pipeline.
  'default-job-options': { status: 200, answer: {} },
  // The data of a job is not to be edited.
  // What cannot be read is told in other words, which are not compared.
  'add.malformed-json': {
    status: 400,
    answer: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' }, message: new AnyText() },
  },
  // Its framework has a page for what is not there. A history is of weeks there, and Slipway keeps a day: the page is not offered.
  'history.absent': {
    status: 404,
    answer: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' }, message: 'there is no such route' },
  },
  'update-data': { status: 400, answer: { error: { key: 'ERRORS.JOB_EDIT_NOT_SUPPORTED' } } },
};

/** Parts of answers that are other ones on purpose. */
const ON_PURPOSE: Record<string, RegExp> = {
  // A job that is tried again has all its attempts to come.
  'queues.before-empty': /\.attempts:/,
  // The original takes a scheduler's next job out of its list, and leaves the id of another behind.
  'queues.after-empty': /^answer\.queues\.1\.jobs:/,
};

/** Those whose answer is made of moments or of the machine: only their form is compared. */
const OF_THE_MOMENT = /^(redis-stats|metrics\.|workers$|job-data-schema\.none|update-data\.after)/;

/** Which form an answer has. */
const FORMS: [RegExp, string][] = [
  [/^GET \/queues(\?|$)/, 'GetQueuesResponse'],
  [/^GET \/redis\/stats/, 'GetRedisStatsResponse'],
  [/^GET \/job-schedulers/, 'GetJobSchedulersResponse'],
  [/^GET \/queues\/[^/]+\/metrics$/, 'GetQueueMetricsResponse'],
  [/^GET \/queues\/[^/]+\/default-job-options$/, 'GetQueueDefaultJobOptionsResponse'],
  [/^GET \/queues\/[^/]+\/workers$/, 'GetQueueWorkersResponse'],
  [/^GET \/queues\/[^/]+\/rate-limit$/, 'GetQueueRateLimitResponse'],
  [/^GET \/queues\/[^/]+\/job-data-schema$/, 'GetQueueJobDataSchemaResponse'],
  [/\/logs$/, 'GetJobLogsResponse'],
  [/\/flow(\?|$)/, 'GetJobFlowResponse'],
  [/^GET \/queues\/[^/]+\/[^/]+$/, 'GetJobResponse'],
  [/\/add$/, 'AddJobResponse'],
  [/\/retry\/[^/]+$/, 'RetryAllResponse'],
  [/\/remove-unprocessed-children$/, 'RemoveUnprocessedChildrenResponse'],
  [/\/job-schedulers\/[^/]+\/run$/, 'RunJobSchedulerResponse'],
];

const compiled = new Map<string, ValidateFunction>();
function checkForm({ method, path }: Vector, status: number, body: unknown): void {
  const isError = status >= 400;
  const name = isError ? 'ErrorResponseBody' : FORMS.find(([pattern]) => pattern.test(`${method} ${path}`))?.[1];
  if (name === undefined) return;
  const schema = isError ? schemas.ErrorResponseBody : schemas.responses[name];
  if (schema === undefined) throw new Error(`there is no form ${name}`);
  const validate = compiled.get(name) ?? ajv.compile(schema);
  compiled.set(name, validate);
  expect(validate(body), `${method} ${path}: ${ajv.errorsText(validate.errors)}`).toBe(true);
}

/** What is alike of two values that differ from time to time and from place to place. */
function steady(value: unknown, key: string): unknown {
  if (typeof value === 'number') {
    if (['delay', 'activeRateLimitTtl', 'offset'].includes(key) && value > 0) return '<ms>';
    return value > 1e11 ? '<ms>' : value;
  }
  if (typeof value !== 'string') return value;
  const text = key === 'stacktrace' ? (value.split('\n')[0] ?? '') : value;
  return text.replaceAll(PREFIX, 'bull').replaceAll(/\d{13}/g, '<ms>');
}

const idOf = (item: unknown) => String(steady((item as { id?: string }).id, 'id'));

/** Where two answers differ. */
function differences(got: unknown, wanted: unknown, path: string[] = []): string[] {
  const key = path.findLast((part) => Number.isNaN(Number(part))) ?? '';
  if (Array.isArray(got) && Array.isArray(wanted)) {
    if (got.length !== wanted.length) return [`${path.join('.')}: ${got.length} items, not ${wanted.length}`];
    // Jobs that ended in the same millisecond come in any order, so that a page may have others of them; which scheduler
    // is due before another depends on the hour.
    const byId = ['jobs', 'children', 'schedulers'].includes(key);
    return got.flatMap((item: unknown, index) => {
      const others: unknown[] = byId ? wanted.filter((one) => idOf(one) === idOf(item)) : [wanted[index]];
      const [other] = others;
      return others.length !== 1 ? [] : differences(item, other, [...path, String(index)]);
    });
  }
  if (wanted instanceof AnyText) return typeof got === 'string' ? [] : [`${path.join('.')}: no text`];
  if (typeof got === 'object' && typeof wanted === 'object' && got !== null && wanted !== null) {
    const fields = (of: object) => new Map(Object.entries(of).map(([name, item]) => [name.replace(PREFIX, 'bull'), item as unknown]));
    const [a, b] = [fields(got), fields(wanted)];
    const names = new Set([...a.keys(), ...b.keys()]);
    return [...names].flatMap((name) => differences(a.get(name), b.get(name), [...path, name]));
  }
  const [a, b] = [steady(got, key), steady(wanted, key)];
  return a === b ? [] : [`${path.join('.')}: ${JSON.stringify(a)}, not ${JSON.stringify(b)}`];
}

let slipway: Installation;
let seeded: Seeded;
beforeAll(async () => {
  // No worker of Slipway's takes what Node has put there.
  slipway = await Installation.start({ withoutWorkers: true });
  seeded = await seed(slipway.redisAddress, PREFIX);
});
afterAll(async () => {
  await seeded?.stop();
  await slipway?.stop();
});

/** Jobs and runs of pipelines are one: what adds other jobs to that queue is done by Node. */
async function byNode({ path, body }: Vector): Promise<void> {
  const { name = '', data, options = {} } = (body ?? {}) as { name?: string; data?: unknown; options?: object };
  if (path.endsWith('/run')) {
    await seeded.pipelines.add('build', { n: 'nightly' }, { attempts: 2, removeOnComplete: 10 });
    return;
  }
  await seeded.pipelines.add(name, data, options);
}

/** The same request of the present: ids of scheduled jobs are made of the time. */
async function present({ name, path }: Vector): Promise<string> {
  // Slipway's own queue refuses whatever is not a trigger before it looks at the id.
  if (name === 'add.bullmq-rejects') return '/queues/deployments/add';
  const scheduled = /repeat%3A([a-z-]+)%3A\d+/.exec(path);
  if (scheduled === null) return path;
  const { body } = await ask(slipway, 'GET', '/job-schedulers');
  const { schedulers } = body as { schedulers: { id: string; nextRunJobId?: string }[] };
  const id = schedulers.find((scheduler) => scheduler.id === scheduled[1])?.nextRunJobId;
  return path.replace(scheduled[0], encodeURIComponent(id ?? 'none'));
}

/** What was done to Redis by hand, or by time, between two of the original's answers. */
async function prepare(name: string): Promise<void> {
  const { redis, seededAt } = seeded;
  if (name === 'rate-limit.active') await redis.set(`${PREFIX}:pipelines:limiter`, 10, 'PX', 60_000);
  if (name !== 'clean-all.completed') return;
  // Jobs younger than five seconds are not cleaned away.
  for (const queue of [seeded.pipelines, seeded.deployments]) {
    for (const job of await queue.getJobs()) {
      if (job.timestamp > seededAt) continue;
      const key = `${PREFIX}:${queue.name}:${job.id}`;
      for (const field of ['timestamp', 'processedOn', 'finishedOn']) {
        if ((await redis.hexists(key, field)) === 1) await redis.hincrby(key, field, -60_000);
      }
      for (const state of ['completed', 'failed']) {
        const set = `${PREFIX}:${queue.name}:${state}`;
        if ((await redis.zscore(set, String(job.id))) !== null) await redis.zincrby(set, -60_000, String(job.id));
      }
    }
  }
}

test('Bull Board is answered as by the original', { timeout: 120_000 }, async () => {
  const wrong: { name: string; found: string[] }[] = [];
  for (const vector of vectors) {
    const { name, method, body, status, answer } = vector;
    if (name.endsWith('.opts') || name.startsWith('ro.') || /^(noretry|queues\.(readonly|noretry)|.*\.hidden|.*\.disabled)/.test(name)) continue;
    const path = await present(vector);
    await prepare(name);
    const addsToRuns = status === 200 && /^\/queues\/pipelines\/(add|job-schedulers\/.+\/run)$/.test(path);
    if (addsToRuns) {
      await byNode(vector);
      continue;
    }
    const asked = await ask(slipway, method, path, vector.headers === undefined ? body : undefined);
    checkForm(vector, asked.status, asked.body);
    if (OF_THE_MOMENT.test(name)) continue;
    const expected = OTHERWISE[name] ?? { status, answer };
    const found = differences({ status: asked.status, answer: asked.body }, expected);
    const unmeant = found.filter((difference) => !ON_PURPOSE[name]?.test(difference));
    if (unmeant.length > 0) wrong.push({ name, found: unmeant });
  }
  expect(wrong).toEqual([]);
});
