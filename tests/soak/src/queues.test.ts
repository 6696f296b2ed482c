// `make load`, too: Bull Board's reads and bulk actions on a queue of a million jobs. However long it is, no call keeps
// Redis from others for long.
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Installation } from '../../e2e/src/harness/installation.js';
import { until } from '../../e2e/src/harness/until.js';
import { ask } from '../../e2e/src/board/api.js';

const SCALE = Number(process.env['LOAD_SCALE'] ?? 1);
const JOBS = Math.round(1_000_000 * SCALE);
const PREFIX = '{slipway}:deployments';
const REDIS_BLOCKED_US_MAX = 50_000;
const ADDED_AT_ONCE = 10_000;
const PATIENCE_MS = 30 * 60_000;

const SHARES = { waiting: 0.7, failed: 0.05, delayed: 0.05, completed: 0.2 };
type Status = keyof typeof SHARES;

/** Adds jobs as BullMQ stores them, from one number to before another. */
const ADD = `
local status = ARGV[1]
for n = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
  local id = status .. '-' .. n
  redis.call('HSET', KEYS[1] .. ':' .. id, 'name', 'deploy', 'data', '{"version":"1.2.3"}', 'opts', '{"attempts":3}',
    'timestamp', '1700000000000', 'delay', '0', 'priority', '0')
  if status == 'waiting' then
    redis.call('LPUSH', KEYS[1] .. ':wait', id)
  elseif status == 'delayed' then
    redis.call('ZADD', KEYS[1] .. ':delayed', 4000000000000 * 4096, id)
  else
    redis.call('HSET', KEYS[1] .. ':' .. id, 'finishedOn', 1700000000000 + n)
    redis.call('ZADD', KEYS[1] .. ':' .. status, 1700000000000 + n, id)
  end
end`;

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

async function fill(status: Status): Promise<void> {
  const count = Math.round(JOBS * SHARES[status]);
  for (let from = 0; from < count; from += ADDED_AT_ONCE) {
    const to = Math.min(count, from + ADDED_AT_ONCE);
    await redis.eval(ADD, 1, PREFIX, status, from, to);
  }
}

async function counts(): Promise<Record<string, number>> {
  const { body } = await ask(slipway, 'GET', '/queues');
  const queue = (body as { queues: { name: string; counts: Record<string, number> }[] }).queues.find(
    ({ name }) => name === 'deployments',
  );
  return queue?.counts ?? {};
}

interface Line {
  what: string;
  seconds: number;
  calls: number;
  longestUs: number;
  /** How many took longer than Redis may be kept from others, for whatever reason. */
  long: number;
  command: string;
}

const lines: Line[] = [];

/** Does something, and asks Redis which of its calls took longest meanwhile. */
async function measured(what: string, act: () => Promise<unknown>): Promise<void> {
  await redis.call('SLOWLOG', 'RESET');
  await redis.call('CONFIG', 'RESETSTAT');
  const begun = performance.now();
  await act();
  const seconds = (performance.now() - begun) / 1_000;
  // The log itself is put away by its own command, which is none of the board's.
  const slow = ((await redis.call('SLOWLOG', 'GET', '-1')) as [number, number, number, string[]][]).filter(([, , , [command]]) => command !== 'SLOWLOG');
  const info = await redis.info('commandstats');
  const calls = [...info.matchAll(/calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  const longest = slow.reduce((most, entry) => (most[2] < entry[2] ? entry : most), [0, 0, 0, ['-']] as [number, number, number, string[]]);
  const long = slow.filter(([, , us]) => us >= REDIS_BLOCKED_US_MAX).length;
  const line = { what, seconds, calls, longestUs: longest[2], long, command: longest[3].slice(0, 3).join(' ').slice(0, 60) };
  lines.push(line);
  console.log(`${what.padEnd(34)} ${seconds.toFixed(2).padStart(8)} s ${String(calls).padStart(9)} calls ${(line.longestUs / 1_000).toFixed(1).padStart(7)} ms ${String(long).padStart(5)} long  ${line.command}`);
}

/** A bulk action, which goes on after its answer where it takes long. */
async function bulk(what: string, path: string, isDone: (counts: Record<string, number>) => boolean): Promise<void> {
  await measured(what, async () => {
    expect((await ask(slipway, 'PUT', `/queues/deployments${path}`)).status).toBe(200);
    await until(`${what} is done`, async () => isDone(await counts()), PATIENCE_MS);
  });
}

const page = (status: string, number: number, size = 100) => async () => {
  const query = `activeQueue=deployments&status=${status}&page=${number}&jobsPerPage=${size}`;
  expect((await ask(slipway, 'GET', `/queues?${query}`)).status).toBe(200);
};

test('a queue of a million jobs is looked at and emptied without keeping others from Redis', { timeout: PATIENCE_MS }, async () => {
  for (const status of Object.keys(SHARES) as Status[]) await fill(status);
  await redis.config('SET', 'slowlog-log-slower-than', 2_000);
  await redis.config('SET', 'slowlog-max-len', 1_000);

  await measured('counts', async () => await counts());
  for (const status of Object.keys(SHARES) as Status[]) {
    const pages = Math.round((JOBS * SHARES[status]) / 100);
    await measured(`${status}, first page`, page(status, 1));
    await measured(`${status}, page in the middle`, page(status, Math.max(1, Math.round(pages / 2))));
    await measured(`${status}, last page`, page(status, Math.max(1, pages)));
  }
  await measured('latest, 300 of each', page('latest', 1, 300));
  const job = `/queues/deployments/waiting-${Math.round((JOBS * SHARES.waiting) / 2)}`;
  await measured('a job amid those that wait', async () => await ask(slipway, 'GET', job));
  await measured('its priority changed', async () => await ask(slipway, 'PATCH', `${job}/priority`, { priority: 7 }));
  const other = `/queues/deployments/waiting-${Math.round((JOBS * SHARES.waiting) / 3)}`;
  await measured('another is removed', async () => await ask(slipway, 'PUT', `${other}/clean`));

  const failed = Math.round(JOBS * SHARES.failed);
  await bulk('clean completed', '/clean/completed', ({ completed }) => completed === 0);
  await bulk('retry all failed', '/retry/failed', ({ failed: left }) => left === 0);
  expect((await counts())['waiting']).toBeGreaterThanOrEqual(failed);
  await bulk('promote all delayed', '/promote', ({ delayed }) => delayed === 0);
  await bulk('clean waiting, half of it', '/clean/wait', ({ waiting }) => (waiting ?? 0) < JOBS / 2);
  await bulk('empty', '/empty', ({ waiting }) => waiting === 0);
  await ask(slipway, 'PUT', '/queues/deployments/pause');
  for (const status of ['failed', 'waiting', 'delayed'] as const) await fill(status);
  await bulk('obliterate', '/obliterate', (left) => Object.values(left).every((count) => count === 0));
  // Redis counts the time that it waits for a core too: this is for a machine that does nothing else.
  expect(lines.filter(({ long }) => long > 0)).toEqual([]);
});
