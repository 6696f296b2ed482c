import { afterAll, beforeAll, expect, test } from 'vitest';

import { connect, failure, watch } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { runToEnd } from './harness/runs.js';

const QUERIES = 5;

let slipway: Installation;
beforeAll(async () => {
  const env = {
    SLIPWAY_LIMIT_QUERIES: `${QUERIES}/1h`,
    SLIPWAY_LIMIT_MUTATIONS: '1/1h dry_run',
    SLIPWAY_LIMIT_STREAMS: '2/1h',
    SLIPWAY_LIMIT_DOWNLOADS: '1/1h',
    SLIPWAY_LIMIT_SIGN_IN: '3/1h',
  };
  slipway = await Installation.start({ env });
});
afterAll(async () => await slipway?.stop());

async function token(name: string): Promise<string> {
  return (await slipway.client.tokens.create.mutate({ name, role: 'operator' })).value;
}

async function get(path: string, value: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${slipway.url}${path}`, { headers: { authorization: `Bearer ${value}`, ...headers } });
}

test('calls beyond the limit are refused with a typed error that says when to come again', async () => {
  const [value, other] = [await token('hasty'), await token('patient')];
  for (let left = QUERIES - 1; left >= 0; left -= 1) {
    const { status, headers } = await get('/trpc/runs.list', value);
    expect(status).toBe(200);
    expect(headers.get('ratelimit-policy')).toBe(`"queries";q=${QUERIES};w=3600`);
    expect(headers.get('ratelimit')).toMatch(new RegExp(`^"queries";r=${left};t=\\d+$`));
    expect(headers.get('retry-after')).toBeNull();
  }
  const refused = await get('/trpc/runs.list', value);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ error: { code: -32029, data: { code: 'TOO_MANY_REQUESTS' } } });
  expect(await failure(connect(slipway.url, value).runs.list.query({}))).toMatchObject({
    code: 'TOO_MANY_REQUESTS',
    status: 429,
  });

  const batch = await get('/trpc/runs.list,pipelines.list?batch=1', value);
  expect(batch.status).toBe(429);
  expect(((await batch.json()) as unknown[]).length).toBe(2);

  const problem = await get('/api/v1/runs', value);
  expect(problem.status).toBe(429);
  expect(problem.headers.get('content-type')).toBe('application/problem+json');
  expect(Number(problem.headers.get('retry-after'))).toBeGreaterThan(1);
  expect(await problem.json()).toMatchObject({ code: 'TOO_MANY_REQUESTS', status: 429 });

  expect((await get('/trpc/runs.list', other)).status).toBe(200);
  expect(slipway.output.match(/A caller is refused for a while.*hasty|hasty.*A caller is refused/g)).toHaveLength(1);
});

test("calls of the board's API count as procedures do, and its pages do not", async () => {
  const value = await token('looks');
  for (let n = 0; n < QUERIES + 2; n += 1) expect((await get('/admin/queues', value)).status).toBe(200);
  for (let left = QUERIES - 1; left >= 0; left -= 1) {
    const { status, headers } = await get('/admin/queues/api/queues', value);
    expect([status, headers.get('ratelimit')]).toEqual([200, expect.stringContaining(`"queries";r=${left};`)]);
  }
  const refused = await get('/admin/queues/api/queues', value);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' } });
  // They are the same calls, by another way.
  expect((await get('/trpc/runs.list', value)).status).toBe(429);
  expect((await get('/admin/queues', value)).status).toBe(200);
});

test('each call of a batch counts', async () => {
  const value = await token('batches');
  const batch = '/trpc/runs.list,runs.list,runs.list,runs.list?batch=1';
  expect((await get(batch, value)).headers.get('ratelimit')).toContain('r=1;');
  expect((await get(batch, value)).status).toBe(429);
  expect((await get('/trpc/runs.list', value)).status).toBe(200);
});

/** Clients give a subscription up at TOO_MANY_REQUESTS, and are to come back. */
test('subscriptions beyond the limit are told to come back', async () => {
  const value = await token('watches');
  const { run } = await runToEnd(slipway.client, script('true'));
  const input = encodeURIComponent(JSON.stringify({ runId: run.id }));
  const client = connect(slipway.url, value);
  for (let n = 0; n < 2; n += 1) expect((await watch(client, run.id).done).at(-1)?.status).toBe('succeeded');
  const refused = await get(`/trpc/pipelines.watchRun?input=${input}`, value);
  expect(refused.status).toBe(200);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  const text = await refused.text();
  expect(text).toContain('event: serialized-error');
  expect(text).toContain('SERVICE_UNAVAILABLE');
  expect(text).toContain('-32603');
});

test('downloads count for themselves', async () => {
  const value = await token('reads');
  const { run } = await runToEnd(slipway.client, script('echo hello'));
  const download = () => get(`/api/v1/runs/${run.id}/logs`, value, { accept: 'text/plain' });
  expect(await (await download()).text()).toContain('hello');
  expect((await download()).status).toBe(429);
  expect((await get('/trpc/runs.list', value)).status).toBe(200);
});

test("each step to a provider's sign-in, and to its sign-out, counts as an attempt to sign in", async () => {
  const go = async (step: string) => await fetch(`${slipway.url}/auth/oidc/${step}`, { redirect: 'manual' });
  const steps = ['start', 'callback', 'sign-out'];
  for (const step of steps) expect((await go(step)).status, step).not.toBe(429);
  for (const step of steps) {
    const { status, headers } = await go(step);
    expect(status, step).toBe(429);
    expect(headers.get('ratelimit-policy')).toBe('"sign_in";q=3;w=3600');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  }
});

test('a dry run refuses nobody, and is logged', async () => {
  const client = connect(slipway.url, await token('changes'));
  const names = ['one', 'two', 'three'];
  const { pipelineId } = (await runToEnd(slipway.client, script('true'))).run;
  for (const _ of names) await client.pipelines.trigger.mutate({ pipelineId });
  expect(slipway.output).toContain('A caller would be refused for a while');
});

test('the admin token is not counted', async () => {
  for (let n = 0; n < 3 * QUERIES; n += 1) await slipway.client.runs.list.query({});
  expect((await get('/trpc/runs.list', slipway.adminToken)).headers.get('ratelimit')).toBeNull();
});
