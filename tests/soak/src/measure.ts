// What an installation uses, seen from outside: its processes, its Redis, its database.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';

import pg from 'pg';

import type { Installation } from '../../e2e/src/harness/installation.js';
import { processesWith } from '../../e2e/src/harness/processes.js';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** The processes of an installation by what they are. */
const ROLES = {
  server: / serve\b/,
  workers: / worker\b/,
  supervisors: /__supervise/,
} as const;
export type Role = keyof typeof ROLES;

/** All processes of one role together. */
export interface Use {
  rssBytes: number;
  descriptors: number;
  cpuTicks: number;
}

export interface Sample {
  redisBytes: number;
  databaseBytes: number;
  streams: number;
  processes: Record<Role, Use>;
}

function useOf(pid: number): Use {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    return { rssBytes: rssKib * KIB, descriptors, cpuTicks: Number(stat[11] ?? 0) + Number(stat[12] ?? 0) };
  } catch {
    // It has ended meanwhile.
    return { rssBytes: 0, descriptors: 0, cpuTicks: 0 };
  }
}

function processesOf(slipway: Installation): Record<Role, Use> {
  const found = processesWith(slipway.dir);
  const together = (role: Role): Use => {
    const uses = found.filter(({ command }) => ROLES[role].test(command)).map(({ pid }) => useOf(pid));
    const sum = (of: (use: Use) => number) => uses.reduce((total, use) => total + of(use), 0);
    return {
      rssBytes: sum((use) => use.rssBytes),
      descriptors: sum((use) => use.descriptors),
      cpuTicks: sum((use) => use.cpuTicks),
    };
  };
  return { server: together('server'), workers: together('workers'), supervisors: together('supervisors') };
}

function redisAddress(slipway: Installation): NetConnectOpts {
  const url = slipway.environment('s')['REDIS_URL'];
  if (url !== undefined) return { host: '127.0.0.1', port: Number(new URL(url).port) };
  const dir = join(slipway.dir, 's', 'redis');
  const socket = readdirSync(dir).find((name) => name.endsWith('.sock'));
  if (socket === undefined) throw new Error(`${dir} has no socket`);
  return { path: join(dir, socket) };
}

/** What Redis answers to one command, as text. */
export async function askRedis(slipway: Installation, command: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(redisAddress(slipway), () => socket.end(`${command}\r\nQUIT\r\n`));
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

async function databaseBytes(slipway: Installation): Promise<number> {
  const url = slipway.environment('s')['DATABASE_URL'];
  if (url === undefined) {
    const files = readdirSync(join(slipway.dir, 's')).filter((name) => name.startsWith('slipway.db'));
    return files.reduce((total, name) => total + statSync(join(slipway.dir, 's', name)).size, 0);
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ size: string }>('SELECT pg_database_size(current_database()) AS size');
    return Number(rows[0]?.size);
  } finally {
    await client.end();
  }
}

export async function sample(slipway: Installation, streams: number): Promise<Sample> {
  const memory = await askRedis(slipway, 'INFO memory');
  return {
    redisBytes: Number(/used_memory:(\d+)/.exec(memory)?.[1]),
    databaseBytes: await databaseBytes(slipway),
    streams,
    processes: processesOf(slipway),
  };
}

/** What files below a directory take on the disk, holes excluded. */
export function diskBytes(dir: string): number {
  let bytes = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    try {
      bytes += entry.isFile() ? statSync(join(entry.parentPath, entry.name)).blocks * 512 : 0;
    } catch {
      // It has been removed meanwhile.
    }
  }
  return bytes;
}

export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

export function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
