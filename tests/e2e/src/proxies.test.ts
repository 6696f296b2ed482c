import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';

import {
  connect,
  connectPlainly,
  contents,
  followLog,
  followLogPlainly,
  gapsIn,
  printed,
} from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesWith } from './harness/processes.js';
import { isThere, KINDS, ReverseProxy } from './harness/reverse-proxy.js';
import { linesOf, trigger, unique, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

// Each proxy has a certificate that it signed itself.
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';

/** Another address of this machine, to be told from the proxy's own. */
const CLIENT_ADDRESS = '127.0.0.2';
const PING_MS = 1_000;
/** Far above the interval of pings, so that a machine that is slow for a moment cuts nothing off. */
const IDLE_SECONDS = 10;

/** Proxies do not see what is behind the server, so one combination of that says it all. */
const isHere = inject('redis') === 'private';

let slipway: Installation;
let proxy: ReverseProxy | undefined;

beforeAll(async () => {
  if (!isHere) return;
  slipway = await Installation.start({
    env: {
      SLIPWAY_TRUSTED_PROXIES: '127.0.0.1',
      SLIPWAY_LOG: 'info,slipway::http=debug',
      // A call that waits for Redis waits for the test.
      SLIPWAY_REDIS_CALL_TIMEOUT: '60s',
      SLIPWAY_DRAIN: '60s',
    },
  });
});
afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});
afterAll(async () => {
  await slipway?.stop();
});

async function behind(kind: (typeof KINDS)[number]): Promise<ReverseProxy> {
  proxy = await ReverseProxy.start(kind, slipway.files, slipway.port);
  return proxy;
}

describe.each(KINDS.map((kind) => ({ kind })))('behind $kind', ({ kind }) => {
  const through = test.skipIf(!isHere || !isThere(kind));

  through('a line arrives while the step that printed it still runs', async () => {
    const { url } = await behind(kind);
    const gate = join(slipway.files, unique('gate'));
    const run = await trigger(
      connect(url, slipway.adminToken),
      script(`echo first; ${waitFor(gate)}; echo second`),
    );
    const streams = [
      followLog(connect(url, slipway.adminToken), run.id),
      followLogPlainly(connectPlainly(url, slipway.adminToken), run.id),
    ];
    for (const { items } of streams) {
      await until('the first line has arrived', () => printed(items).includes('first'));
      expect(printed(items)).toEqual(['first']);
    }
    writeFileSync(gate, '');
    for (const stream of streams) expect(printed(await stream.done)).toEqual(['first', 'second']);
  });

  through('so does one of a stream that several subscriptions share', async () => {
    const { url } = await behind(kind);
    const gate = join(slipway.files, unique('gate'));
    const run = await trigger(slipway.client, script(`echo first; ${waitFor(gate)}; echo second`));
    const input = { runId: run.id };
    const stream = await Stream.open(`${url}/trpc-live`, slipway.adminToken, [
      { key: 'log', path: 'pipelines.streamLogs', input },
      { key: 'state', path: 'pipelines.watchRun', input },
    ]);
    await stream.until('"message":"first"');
    expect(stream.received).not.toContain('"message":"second"');
    writeFileSync(gate, '');
    await stream.end();
    expect(stream.received).toContain('"message":"second"');
    expect(stream.received.split('event: return\n')).toHaveLength(3);
  });

  through('streams go on behind the line that they have when the proxy is started again', async () => {
    const restarted = await behind(kind);
    const gate = join(slipway.files, unique('gate'));
    const started = join(slipway.files, unique('started'));
    const run = await trigger(
      slipway.client,
      script(`seq 1 2000; ${waitFor(gate)}; seq 2001 4000; echo done >> '${started}'`),
    );
    const lines = followLog(connect(restarted.url, slipway.adminToken), run.id);
    const plain = followLogPlainly(connectPlainly(restarted.url, slipway.adminToken), run.id);
    for (const { items } of [lines, plain]) {
      await until('half of the lines are there', () => printed(items).length === 2000);
    }
    const streamsBefore = streamsOpened();
    await restarted.stop();
    writeFileSync(gate, '');
    await until('the rest was printed while nobody could hear it', () => linesOf(started).length === 1);
    await restarted.launch();
    const wholes = await Promise.all([lines.done, plain.done]);
    // Each has come back once.
    expect(streamsOpened() - streamsBefore).toBe(2);
    const direct = contents(await followLog(slipway.client, run.id).done);
    for (const whole of wholes) {
      expect(gapsIn(whole)).toEqual([]);
      expect(contents(whole)).toEqual(direct);
    }
  });

  through('a client is told by its own address and by the name that the proxy gave its request', async () => {
    const { url } = await behind(kind);
    const claimed = { 'x-forwarded-for': '203.0.113.9', 'x-request-id': 'claimed', forwarded: 'for=203.0.113.9' };
    const answer = await ask(`${url}/trpc/system.health`, { headers: claimed });
    expect(answer.status).toBe(200);
    expect(answer.requestId).not.toBe('claimed');
    const answered = await until('the server has said so', () =>
      slipway.output.split('\n').find((line) => line.includes(answer.requestId) && line.includes('Answered')),
    );
    expect(answered).toContain(CLIENT_ADDRESS);
    expect(slipway.output).not.toContain('203.0.113.9');

    const tooLarge = await ask(`${url}/trpc/pipelines.create`, {
      method: 'POST',
      headers: { authorization: `Bearer ${slipway.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'x'.repeat(1_200_000) }),
    });
    expect(tooLarge.status).toBe(413);
  });

  // What holds a call up is a Redis that has stopped.
  through('the answers of a streamed batch arrive one by one', async () => {
    const { url } = await behind(kind);
    const [redis] = processesWith(slipway.dir).filter(({ command }) => command.includes('valkey-server'));
    if (redis === undefined) throw new Error('there is no private Redis to stop');
    process.kill(redis.pid, 'SIGSTOP');
    let received = '';
    try {
      const calls = { 0: { path: 'pipelines.watchRun' }, 1: { name: unique('token'), role: 'viewer' } };
      const headers = { 'trpc-accept': 'application/jsonl' };
      const address = `${url}/trpc/auth.streamTicket,tokens.create?batch=1`;
      const stream = await Stream.open(address, slipway.adminToken, calls, headers);
      // Those that ask nothing of Redis are answered at once, and what they say is not held back for the other.
      await stream.until('\n[1,0,');
      expect(stream.received).not.toContain('\n[0,0,');
      process.kill(redis.pid, 'SIGCONT');
      await stream.end();
      received = stream.received;
    } finally {
      process.kill(redis.pid, 'SIGCONT');
    }
    expect(received).toContain('"ticket":"slt_');
  });
});

test.skipIf(!isHere)('a quiet stream outlives the timeouts of its proxies by its pings', async () => {
  const quiet = await Installation.start({ env: { SLIPWAY_STREAM_PING: `${PING_MS}ms` } });
  const gate = join(quiet.files, unique('gate'));
  // Caddy has no such timeout.
  const kinds = KINDS.filter((kind) => kind !== 'caddy' && isThere(kind));
  const listen = async ({ url }: ReverseProxy, runId: string) => {
    const input = encodeURIComponent(JSON.stringify({ runId }));
    const stream = await Stream.open(`${url}/trpc/pipelines.streamLogs?input=${input}`, quiet.adminToken);
    const pings = () => stream.received.split('event: ping\n').length - 1;
    while (pings() * PING_MS < (IDLE_SECONDS + 2) * 1000) {
      if (!(await stream.more())) throw new Error(`the stream was cut after ${pings()} pings`);
    }
    await stream.cancel();
  };
  const proxies: ReverseProxy[] = [];
  try {
    for (const kind of kinds) {
      proxies.push(await ReverseProxy.start(kind, quiet.files, quiet.port, { idleSeconds: IDLE_SECONDS }));
    }
    const run = await trigger(quiet.client, script(`${waitFor(gate)}; echo end`));
    await Promise.all(proxies.map((one) => listen(one, run.id)));
  } finally {
    writeFileSync(gate, '');
    await Promise.all(proxies.map((one) => one.stop()));
    await quiet.stop();
  }
});

test('pings are more frequent than the packaged proxies are patient', () => {
  const defaults = readFileSync(join(import.meta.dirname, '../../../src/config.default.toml'), 'utf8');
  const seconds = Number(/^stream_ping = "(\d+)s"$/m.exec(defaults)?.[1]);
  // HAProxy's packaged file waits 50 s, nginx 60 s.
  expect(seconds * 2).toBeLessThan(50);
});

/** The body of an answer as it comes. */
class Stream {
  received = '';

  private constructor(private readonly reader: ReadableStreamDefaultReader<string>) {}

  /** Asks by POST where there is something to send. */
  static async open(url: string, token: string, body?: unknown, headers = {}): Promise<Stream> {
    const response = await fetch(url, {
      headers: { ...headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    expect(response.status).toBe(200);
    const bytes = response.body ?? new ReadableStream<Uint8Array<ArrayBuffer>>();
    return new Stream(bytes.pipeThrough(new TextDecoderStream()).getReader());
  }

  /** Whether more has come; otherwise the body has ended. */
  async more(): Promise<boolean> {
    const { done, value } = await this.reader.read();
    this.received += value ?? '';
    return !done;
  }

  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      if (!(await this.more())) throw new Error(`it ended without ${text}: ${this.received}`);
    }
  }

  async end(): Promise<void> {
    while (await this.more()) continue;
  }

  async cancel(): Promise<void> {
    await this.reader.cancel();
  }
}

/** How many streams of logs the server has opened, as its log says. */
function streamsOpened(): number {
  const isOne = (line: string) => line.includes('Answered') && line.includes('/trpc/pipelines.streamLogs');
  return slipway.output.split('\n').filter(isOne).length;
}

interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** A request from an address that is not the proxy's. */
function ask(url: string, { method = 'GET', headers = {}, body }: Ask) {
  return new Promise<{ status: number; requestId: string; body: string }>((resolve, reject) => {
    const options = { method, headers, localAddress: CLIENT_ADDRESS, rejectUnauthorized: false };
    const sent = request(url, options, (response) => {
      const answer = (body: string) =>
        resolve({ status: response.statusCode ?? 0, requestId: String(response.headers['x-request-id']), body });
      text(response).then(answer, reject);
    });
    // A proxy that refuses a body may answer before it has all of it, and close.
    sent.on('error', reject);
    sent.end(body);
  });
}
