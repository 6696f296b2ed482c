import { Agent, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { ForgetfulProxy } from './harness/proxy.js';
import { trigger, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

/** `make load` has a thousand. */
const RELOADS = Number(process.env['SLIPWAY_TEST_RELOADS'] ?? 60);
/** A page follows some runs, and the log of each. */
const RUNS = 3;

/** An installation and the runs of its page, which end when the gate is there. */
interface Page {
  slipway: Installation;
  runIds: string[];
}

let pages: Page[];
beforeAll(async () => {
  // In the second nothing but the bound on a stream's life ends what the proxy keeps.
  pages = await Promise.all([{}, { SLIPWAY_STREAM_DURATION_MAX: '5s' }].map(start));
});
afterAll(async () => {
  for (const { slipway, runIds } of pages ?? []) {
    for (const runId of runIds) await slipway.client.runs.cancel.mutate({ runId });
    await slipway.stop();
  }
});

async function start(env: Record<string, string>): Promise<Page> {
  const slipway = await Installation.start({ env });
  const quiet = script(`echo begun; ${waitFor(join(slipway.files, 'gate'))}`);
  const runs = Array.from({ length: RUNS }, () => trigger(slipway.client, quiet));
  return { slipway, runIds: (await Promise.all(runs)).map(({ id }) => id) };
}

/** Opens a page's streams, waits until they have begun, and leaves as a browser does that is reloaded. */
async function load({ slipway, runIds }: Page, port: number, agent: Agent): Promise<void> {
  const wanted = runIds.flatMap((runId, index) => [
    { key: `l${index}`, path: 'pipelines.streamLogs', input: { runId } },
    { key: `w${index}`, path: 'pipelines.watchRun', input: { runId } },
  ]);
  const headers = { authorization: `Bearer ${slipway.adminToken}`, 'content-type': 'application/json' };
  const options = { port, host: '127.0.0.1', path: '/trpc-live', method: 'POST', headers, agent };
  await new Promise<void>((resolve, reject) => {
    const sent = request(options, (answer: IncomingMessage) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        // The page's own stream, and each of what it carries.
        if (text.split('event: connected').length - 1 < 1 + wanted.length) return;
        sent.destroy();
        resolve();
      });
      answer.on('end', () => reject(new Error(`the stream has ended: ${text}`)));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(wanted));
  });
}

async function streams({ slipway }: Page) {
  return (await slipway.client.system.health.query()).streams;
}

async function nothingIsStreamed(page: Page): Promise<void> {
  await until('nothing is streamed, followed or watched', async () => {
    const { open, logs, runs } = await streams(page);
    return open + logs + runs === 0;
  });
}

function pageOf(index: number): Page {
  const page = pages[index];
  if (page === undefined) throw new Error(`there is no page ${index}`);
  return page;
}

test('a page that is reloaded again and again leaves no stream behind', async () => {
  const page = pageOf(0);
  const agent = new Agent();
  for (let index = 0; index < RELOADS; index += 1) await load(page, page.slipway.port, agent);
  await nothingIsStreamed(page);
});

test('a proxy that keeps the streams of those who have left keeps them for a while only', async () => {
  const page = pageOf(1);
  const proxy = await ForgetfulProxy.start(page.slipway.port);
  try {
    const agent = new Agent();
    for (let index = 0; index < RELOADS; index += 1) await load(page, proxy.port, agent);
    expect((await streams(page)).open).toBeGreaterThan(0);
    await nothingIsStreamed(page);
  } finally {
    await proxy.stop();
  }
});
