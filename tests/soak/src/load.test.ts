// `make load`: five abuses at full size against a real server. Memory stays within its bound, everybody else is served
// on, and who is refused is told so.
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { outcome } from '../../e2e/src/harness/client.js';
import { trigger, unique, untilStatus, waitFor } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { measured, print, type Report } from './abuse.js';
import { askRedis, MIB } from './measure.js';

/** A smaller load shows the same in less time: `LOAD_SCALE=0.1 make load`. */
const SCALE = Number(process.env['LOAD_SCALE'] ?? 1);
const QUEUED = Math.round(100_000 * SCALE);
const STEP_BYTES = Math.round(5 * 1024 * MIB * SCALE);
const SUBSCRIBERS = Math.round(2_000 * SCALE);
const CONNECTIONS = Math.round(5_000 * SCALE);
const SLOW_BODIES = Math.round(1_500 * SCALE);

const BATCH = 25;
const BATCHES_AT_ONCE = 2;
/** How long the server is watched while the queue is long: several passes of all that is periodic. */
const WATCHED_MS = 30_000;
const REDIS_BLOCKED_US_MAX = 50_000;
const WRITE_TIMEOUT_S = 30;
const BODY_TIMEOUT_S = 10;
const PATIENCE_MS = 30 * 60_000;

let slipway: Installation;
let runId: string;

beforeAll(async () => {
  slipway = await Installation.start({
    env: {
      SLIPWAY_CONCURRENCY: '2',
      SLIPWAY_WRITE_TIMEOUT: `${WRITE_TIMEOUT_S}s`,
      SLIPWAY_BODY_TIMEOUT: `${BODY_TIMEOUT_S}s`,
    },
  });
  const run = await trigger(slipway.client, script('echo done'));
  await outcome(slipway.client, run.id);
  runId = run.id;
});
afterAll(async () => {
  await slipway?.stop();
});

function grownMib({ before, peak }: Report): number {
  return (peak.serverBytes - before.processes.server.rssBytes) / MIB;
}

/** The head of a request from the address that abuses. */
function head(method: string, path: string, headers: string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'host: a', `authorization: Bearer ${slipway.adminToken}`, ...headers, '', ''].join('\r\n');
}

function open(): Socket {
  const socket = connect({ host: '127.0.0.1', port: slipway.port, localAddress: '127.0.0.1' });
  socket.on('error', () => undefined);
  return socket;
}

function logOf(id: string): string {
  return `/trpc/pipelines.streamLogs?input=${encodeURIComponent(JSON.stringify({ runId: id }))}`;
}

/** How what came over many connections began: a status each. */
function counted(texts: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) {
    const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'nothing';
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

test(`${CONNECTIONS} connections of one client`, async () => {
  const sockets: Socket[] = [];
  const report = await measured('connections', slipway, runId, async () => {
    const texts = Array.from({ length: CONNECTIONS }, () => '');
    for (let index = 0; index < CONNECTIONS; index += 1) {
      const socket = open();
      socket.write(head('GET', '/healthz'));
      socket.on('data', (chunk: Buffer) => {
        texts[index] += chunk.toString();
      });
      sockets.push(socket);
      if (index % 100 === 99) await pause(20);
    }
    await until('every connection was answered or ended', () =>
      sockets.every((socket, index) => socket.destroyed || texts[index] !== ''),
    );
    return counted(texts);
  });
  print(report);
  sockets.forEach((socket) => socket.destroy());
  expect(report.failures).toEqual([]);
  const { 200: served = 0, 503: refused = 0 } = report.refusals;
  // The harness has connections of its own, from the same address.
  expect(served).toBeLessThanOrEqual(2_000);
  expect(served).toBeGreaterThan(Math.min(CONNECTIONS, 2_000) - 20);
  expect(served + refused).toBe(CONNECTIONS);
  expect(grownMib(report)).toBeLessThan(128);
});

test(`${SLOW_BODIES} bodies, a byte a second`, async () => {
  const report = await measured('slow bodies', slipway, runId, async () => {
    const texts = Array.from({ length: SLOW_BODIES }, () => '');
    const sockets = texts.map((_, index) => {
      const socket = open();
      const headers = ['content-type: application/json', `content-length: ${MIB}`];
      socket.write(head('POST', '/trpc/pipelines.create', headers));
      socket.on('data', (chunk: Buffer) => {
        texts[index] += chunk.toString();
      });
      return socket;
    });
    const trickling = setInterval(() => sockets.forEach((socket) => socket.writable && socket.write(' ')), 1_000);
    await until('all have ended', () => sockets.every((socket) => socket.destroyed), PATIENCE_MS);
    clearInterval(trickling);
    return counted(texts);
  });
  print(report);
  expect(report.failures).toEqual([]);
  expect(report.refusals).toEqual({ 408: SLOW_BODIES });
  expect(grownMib(report)).toBeLessThan(128);
});

test(`${SUBSCRIBERS} subscribers, of which half never read`, async () => {
  const gate = join(slipway.files, unique('gate'));
  // Enough to fill what the system holds for each of those who do not read.
  const run = await trigger(slipway.client, script(`${waitFor(gate)}; yes 0123456789 | head -n 20000; sleep 5; echo end`));
  const sockets: Socket[] = [];
  const report = await measured('subscribers', slipway, runId, async () => {
    const ends = Array.from({ length: SUBSCRIBERS }, () => '');
    // As many as one client may have, so they come from two.
    for (let index = 0; index < SUBSCRIBERS; index += 1) {
      const socket = connect({ host: '127.0.0.1', port: slipway.port, localAddress: `127.0.0.${3 + (index % 2)}` });
      socket.on('error', () => undefined);
      socket.write(head('GET', logOf(run.id)));
      if (index % 2 === 0) {
        socket.on('data', (chunk: Buffer) => {
          ends[index] = (ends[index] + chunk.toString('latin1')).slice(-256);
        });
      } else socket.pause();
      sockets.push(socket);
      if (index % 100 === 99) await pause(20);
    }
    const streams = async () => (await slipway.client.system.health.query()).streams;
    await until('all are there', async () => (await streams()).open === SUBSCRIBERS);
    writeFileSync(gate, '');
    await outcome(slipway.client, run.id);
    const isReader = (index: number) => index % 2 === 0;
    const hasEnd = (index: number) => ends[index]?.includes('event: return') === true;
    const readers = sockets.filter((_, index) => isReader(index)).length;
    await until(
      'who reads has the end, or was cut off',
      () => sockets.every((socket, index) => !isReader(index) || hasEnd(index) || socket.destroyed),
      PATIENCE_MS,
    );
    const ended = sockets.filter((_, index) => hasEnd(index)).length;
    await until('nobody is streamed to', async () => (await streams()).open === 0, PATIENCE_MS);
    return { readers, 'read to the end': ended, 'cut off': SUBSCRIBERS - ended };
  });
  print(report);
  sockets.forEach((socket) => socket.destroy());
  expect(report.failures).toEqual([]);
  expect(report.refusals['read to the end']).toBe(report.refusals['readers']);
  expect(grownMib(report)).toBeLessThan(512);
});

test(`a step that prints ${STEP_BYTES} bytes`, async () => {
  const line = 'x'.repeat(99);
  const report = await measured('a step that prints', slipway, runId, async () => {
    const run = await trigger(slipway.client, script(`yes ${line} | head -c ${STEP_BYTES}`));
    const { status, lines } = await outcome(slipway.client, run.id);
    expect(status).toBe('succeeded');
    const last = await slipway.client.runs.logs.query({ runId: run.id, from: -5, limit: 5 });
    expect(last.items.some(({ message }) => message.includes('bound'))).toBe(STEP_BYTES > 512 * MIB);
    return { lines };
  });
  print(report);
  expect(report.failures).toEqual([]);
  expect(grownMib(report)).toBeLessThan(128);
  expect(report.peak.supervisorBytes / MIB).toBeLessThan(64);
  expect((report.peak.redisBytes - report.before.redisBytes) / MIB).toBeLessThan(256);
});

test(`a queue of ${QUEUED} runs`, async () => {
  const gate = join(slipway.files, unique('gate'));
  const holding = await Promise.all([0, 1].map(() => trigger(slipway.client, script(waitFor(gate)))));
  for (const run of holding) await untilStatus(slipway.client, run.id, 'running');
  const pipeline = await slipway.client.pipelines.create.mutate({ name: unique('queue'), definition: script('true') });
  await askRedis(slipway, `CONFIG SET slowlog-log-slower-than ${REDIS_BLOCKED_US_MAX}`);
  await askRedis(slipway, 'SLOWLOG RESET');
  const report = await measured('a long queue', slipway, runId, async () => {
    const begun = Date.now();
    let left = QUEUED;
    const triggering = async () => {
      while (left > 0) {
        const count = Math.min(BATCH, left);
        left -= count;
        const one = () => slipway.client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
        await Promise.all(Array.from({ length: count }, one));
      }
    };
    await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, triggering));
    const seconds = Math.round((Date.now() - begun) / 1000);
    const { queue } = await slipway.client.system.health.query();
    expect(queue.waiting).toBe(QUEUED);
    return { queued: QUEUED, seconds };
  });
  print(report);
  const idle = await measured('the same, afterwards', slipway, runId, async () => {
    await pause(WATCHED_MS);
    return {};
  });
  print(idle);
  const ticks = idle.after.processes.server.cpuTicks - idle.before.processes.server.cpuTicks;
  console.log(`  server, processor      ${((ticks * 10) / (WATCHED_MS / 100)).toFixed(1)} % of one`);
  for (const run of holding) await slipway.client.runs.cancel.mutate({ runId: run.id });
  // An array of no entries.
  expect(await askRedis(slipway, 'SLOWLOG GET 1')).toContain('*0\r\n');
  expect([...report.failures, ...idle.failures]).toEqual([]);
  expect(grownMib(report)).toBeLessThan(256);
});
