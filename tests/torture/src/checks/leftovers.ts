import { existsSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

import { until } from '../../../e2e/src/harness/until.js';
import type { Evidence, Violation } from '../evidence.js';
import { command, type Reply } from '../redis.js';
import type { Setup } from '../setup.js';

/** A worker looks every minute for what others have left. */
const GONE_MS_MAX = 75_000;
const SEGMENT = /^logs\/[0-9a-f-]{36}\/\d{16}-\d{16}\.ndjson\.zst$/;
const QUEUES = ['wait', 'active', 'delayed', 'prioritized', 'paused'];

/** Nothing is left of what has come to its end. It may take a while, which is bounded. */
export async function leftovers(setup: Setup, evidence: Evidence): Promise<Violation[]> {
  const succeeded = new Set(
    evidence.accounts.filter(({ run }) => run.status === 'succeeded').map(({ run }) => run.id as string),
  );
  const look = async () => [
    ...setup.leftovers().map(({ pid, command }) => `process ${pid}: ${command}`),
    ...setup.machines.flatMap((machine) => directories(machine, succeeded)),
    ...setup.machines.flatMap((machine) => drafts(machine)),
    ...objects(setup.objects),
    ...(await inRedis(setup)),
  ];
  let found: string[] = [];
  const isTidy = async () => {
    found = await look();
    return found.length === 0;
  };
  await until('nothing is left over', isTidy, GONE_MS_MAX).catch(() => undefined);
  return found.map((text) => ({ rule: 'leftovers', text }));
}

function directories(machine: string, succeeded: Set<string>): string[] {
  const runs = join(machine, 'runs');
  if (!existsSync(runs)) return [];
  return readdirSync(runs)
    .filter((run) => succeeded.has(run))
    .map((run) => `the directory of the succeeded run ${run} in ${basename(machine)}`);
}

/** What was begun under another name and never got its own. Workspaces and Redis's own files are none of ours. */
function drafts(machine: string): string[] {
  const isDraft = (name: string) => /\.draft$|\.tmp$|#\d+$|^host-id\./.test(name);
  return files(machine)
    .filter((path) => !/^(runs\/[^/]+\/(workspace|tmp)|redis|mirrors|objects)\//.test(path))
    .filter((path) => isDraft(basename(path)))
    .map((path) => `the draft ${path} in ${basename(machine)}`);
}

function objects(dir: string): string[] {
  return files(dir)
    .filter((path) => !SEGMENT.test(path))
    .map((path) => `in the object store: ${path}`);
}

function files(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)));
}

async function inRedis({ redisAt }: Setup): Promise<string[]> {
  const found: string[] = [];
  for (const queue of QUEUES) {
    const jobs = await members(redisAt, `{slipway}:pipelines:${queue}`);
    found.push(...jobs.map((job) => `job ${job} is in ${queue}`));
  }
  for (const key of strings(await command(redisAt, 'KEYS', '{slipway}:log:*'))) {
    if ((await command(redisAt, 'TTL', key)) === -1) found.push(`the key ${key} never expires`);
  }
  return found;
}

async function members(redisAt: Setup['redisAt'], key: string): Promise<string[]> {
  const type = await command(redisAt, 'TYPE', key);
  const words = type === 'zset' ? ['ZRANGE', key, 0, -1] : type === 'list' ? ['LRANGE', key, 0, -1] : undefined;
  // The queue's script keeps a marker beside the jobs.
  return words === undefined ? [] : strings(await command(redisAt, ...words)).filter((id) => !/^0:/.test(id));
}

function strings(reply: Reply): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}
