// Every link that tRPC's own client has for HTTP, against the server as it is.

import {
  createTRPCClient,
  httpBatchLink,
  httpBatchStreamLink,
  httpLink,
  httpSubscriptionLink,
  retryLink,
  splitLink,
  type HTTPBatchLinkOptions,
  type TRPCLink,
} from '@trpc/client';
import { liveLink, type AppRouter, type ClientRouter, type Pipeline } from '@slipway/client';
import { EventSource } from 'eventsource';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';

import { failure, gapsIn, printed, type Line } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { CuttingProxy } from './harness/proxy.js';
import { runToEnd, unique } from './harness/runs.js';

let slipway: Installation;
let pipeline: Pipeline;
let url: string;
let headers: { authorization: string };

/** What went over the wire: method, path with query, status. */
let seen: { method: string; path: string; status: number }[] = [];

beforeAll(async () => {
  slipway = await Installation.start();
  url = `${slipway.url}/trpc`;
  headers = { authorization: `Bearer ${slipway.adminToken}` };
  pipeline = await slipway.client.pipelines.create.mutate({ name: 'linked', definition: script('true') });
});
afterAll(async () => await slipway?.stop());
beforeEach(() => {
  seen = [];
});

/** tRPC's own type of a `fetch`, which differs from the global one's in what may be undefined. */
type Fetch = NonNullable<HTTPBatchLinkOptions<AppRouter['_def']['_config']['$types']>['fetch']>;

/** The global `fetch`, watched. */
const watched: Fetch = async (input, init) => {
  const response = await fetch(input, init as RequestInit);
  const { pathname, search } = new URL(String(input));
  seen.push({ method: init?.method ?? 'GET', path: `${pathname}${search}`, status: response.status });
  return response;
};

const through = (...links: TRPCLink<AppRouter>[]) => createTRPCClient<AppRouter>({ links });
const http = () => ({ url, headers, fetch: watched });

describe('httpLink', () => {
  test('sends each call by itself: without an input, with one, in a body', async () => {
    const trpc = through(httpLink(http()));
    expect((await trpc.system.health.query()).status).toBe('ok');
    expect((await trpc.pipelines.get.query({ pipelineId: 'linked' })).id).toBe(pipeline.id);
    const description = unique('description');
    const changed = await trpc.pipelines.update.mutate({ pipelineId: pipeline.id, description });
    expect(changed.description).toBe(description);
    expect(seen.map(({ method, status }) => [method, status])).toEqual([
      ['GET', 200],
      ['GET', 200],
      ['POST', 200],
    ]);
  });

  test('sends queries in a body where it is told to', async () => {
    const trpc = through(httpLink({ ...http(), methodOverride: 'POST' }));
    expect((await trpc.pipelines.get.query({ pipelineId: 'linked' })).id).toBe(pipeline.id);
    expect((await trpc.system.health.query()).status).toBe('ok');
    expect(seen.map(({ method, path }) => [method, path])).toEqual([
      ['POST', '/trpc/pipelines.get'],
      ['POST', '/trpc/system.health'],
    ]);
  });

  test('gives a call that is aborted up', async () => {
    const trpc = through(httpLink(http()));
    const abort = new AbortController();
    const call = trpc.pipelines.list.query({}, { signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ name: 'TRPCClientError' });
    expect((await trpc.pipelines.list.query({})).items).not.toEqual([]);
  });
});

describe.each(['GET', 'POST'] as const)('httpBatchLink by %s', (method) => {
  const trpc = () =>
    through(httpBatchLink({ ...http(), ...(method === 'POST' ? { methodOverride: 'POST' } : {}) }));

  test('sends the calls of one moment together, and each gets its own answer', async () => {
    const client = trpc();
    const [health, found, missing, wrong] = await Promise.all([
      client.system.health.query(),
      client.pipelines.get.query({ pipelineId: 'linked' }),
      failure(client.pipelines.get.query({ pipelineId: 'there is none' })),
      failure(client.pipelines.list.query({ limit: -1 })),
    ]);
    expect(health.status).toBe('ok');
    expect(found.id).toBe(pipeline.id);
    expect([missing.code, wrong.code]).toEqual(['NOT_FOUND', 'BAD_REQUEST']);
    expect(wrong.data['field']).toBe('limit');
    expect(seen.map((request) => [request.method, request.status])).toEqual([[method, 207]]);
  });

  test('has the status of all calls where they agree', async () => {
    const client = trpc();
    const codes = await Promise.all(
      ['one', 'two'].map(
        async (pipelineId) => (await failure(client.pipelines.get.query({ pipelineId }))).code,
      ),
    );
    expect(codes).toEqual(['NOT_FOUND', 'NOT_FOUND']);
    expect(seen.map(({ status }) => status)).toEqual([404]);
  });
});

test('httpBatchLink sends mutations together, apart from queries', async () => {
  const trpc = through(httpBatchLink(http()));
  const [first, second] = [unique('first'), unique('second')];
  const made = await Promise.all([
    trpc.pipelines.create.mutate({ name: first, definition: script('true') }),
    trpc.pipelines.create.mutate({ name: second, definition: script('true') }),
    trpc.pipelines.get.query({ pipelineId: 'linked' }),
  ]);
  expect(made.map(({ name }) => name)).toEqual([first, second, 'linked']);
  expect(seen.map(({ method }) => method).sort()).toEqual(['GET', 'POST']);
});

describe('httpBatchStreamLink', () => {
  test('gives results and errors as they come', async () => {
    const trpc = through(httpBatchStreamLink(http()));
    const [found, missing] = await Promise.all([
      trpc.pipelines.get.query({ pipelineId: 'linked' }),
      failure(trpc.pipelines.get.query({ pipelineId: 'there is none' })),
    ]);
    expect(found.id).toBe(pipeline.id);
    expect(missing).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    expect(seen).toHaveLength(1);
    expect(seen[0]?.status).toBe(200);
  });

  // A lock that is held as long as the test wants stands for a call that takes long.
  test.runIf(inject('database') === 'postgres')(
    'gives nineteen results while one of twenty waits',
    async () => {
      const other = new pg.Client({ connectionString: slipway.environment('s')['DATABASE_URL'] });
      await other.connect();
      try {
        await other.query('BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE');
        const trpc = through(httpBatchStreamLink(http()));
        let isHeld = true;
        const waiting = trpc.tokens.list.query({}).then((page) => ({ page, wasHeld: isHeld }));
        const others = Array.from({ length: 19 }, () => trpc.pipelines.get.query({ pipelineId: 'linked' }));
        const early = await Promise.all(others);
        expect(early.map(({ id }) => id)).toEqual(Array.from({ length: 19 }, () => pipeline.id));
        isHeld = false;
        await other.query('ROLLBACK');
        expect((await waiting).wasHeld).toBe(false);
        // One request carried them all.
        expect(seen).toHaveLength(1);
      } finally {
        await other.end();
      }
    },
  );
});

test('retryLink tries a query again that nobody answered', async () => {
  let attempts = 0;
  const unreachable: Fetch = (input, init) => {
    attempts += 1;
    return attempts < 3 ? Promise.reject(new TypeError('nobody answers')) : watched(input, init);
  };
  const trpc = through(
    retryLink({ retry: ({ error, attempts: made }) => !error.data && made < 5 }),
    httpBatchLink({ url, headers, fetch: unreachable }),
  );
  expect((await trpc.pipelines.get.query({ pipelineId: 'linked' })).id).toBe(pipeline.id);
  expect(attempts).toBe(3);
  // What the server has refused is not tried again.
  expect((await failure(trpc.pipelines.get.query({ pipelineId: 'there is none' }))).code).toBe('NOT_FOUND');
  expect(attempts).toBe(4);
});

describe('httpSubscriptionLink, beside others by splitLink', () => {
  /** As a page has it, with the headers that a page could not send. */
  function client(open: typeof fetch, connectionParams?: Record<string, string>) {
    return through(
      splitLink({
        condition: (op) => op.type === 'subscription',
        true: httpSubscriptionLink({
          url,
          EventSource,
          eventSourceOptions: {
            fetch: (input, init) =>
              open(input, { ...init, headers: { ...init.headers, ...headers } } as RequestInit),
          },
          ...(connectionParams ? { connectionParams } : {}),
        }),
        false: httpBatchLink(http()),
      }),
    );
  }

  function follow(trpc: ReturnType<typeof client>, runId: string): Promise<Line[]> {
    const lines: Line[] = [];
    return new Promise((resolve, reject) => {
      trpc.pipelines.streamLogs.subscribe(
        { runId },
        { onData: ({ data }) => void lines.push(data), onComplete: () => resolve(lines), onError: reject },
      );
    });
  }

  test('comes back with the id of the last event after a cut, and misses and repeats nothing', async () => {
    const { run, lines } = await runToEnd(slipway.client, script('seq 1 500'));
    const ids: (string | null)[] = [];
    const cutting = async (input: string | URL | Request, init?: RequestInit) => {
      ids.push(new Headers(init?.headers).get('last-event-id'));
      const response = await fetch(input, init);
      // The first answer breaks off amid an event.
      return ids.length === 1
        ? new Response(response.body?.pipeThrough(cutAfter(4000)) ?? null, response)
        : response;
    };
    const received = await follow(client(cutting as typeof fetch), run.id);
    expect(gapsIn(received)).toEqual([]);
    expect(received).toHaveLength(lines.length);
    expect(printed(received)).toEqual(printed(lines));
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBeNull();
    expect(ids[1]).toMatch(/^\d+-\d+$/);
  });

  test('may send connection parameters, which nothing here needs', async () => {
    const { run, lines } = await runToEnd(slipway.client, script('seq 1 5'));
    const trpc = client(fetch, { language: 'en' });
    expect(await follow(trpc, run.id)).toHaveLength(lines.length);
    expect((await trpc.pipelines.get.query({ pipelineId: 'linked' })).id).toBe(pipeline.id);
  });
});

test('liveLink gives each of six logs every line once, over one stream that is cut again and again', async () => {
  const runs = await Promise.all(
    Array.from({ length: 3 }, () => runToEnd(slipway.client, script('seq 1 10000'))),
  );
  const proxy = await CuttingProxy.start(slipway.port, 300);
  try {
    const trpc = createTRPCClient<ClientRouter>({
      links: [liveLink({ url: proxy.url, token: slipway.adminToken })],
    });
    const follow = (runId: string) =>
      new Promise<Line[]>((resolve, reject) => {
        const lines: Line[] = [];
        trpc.pipelines.streamLogs.subscribe(
          { runId },
          { onData: (line) => void lines.push(line), onComplete: () => resolve(lines), onError: reject },
        );
      });
    const logs = await Promise.all([...runs, ...runs].map(async ({ run, lines }) => [await follow(run.id), lines]));
    for (const [received = [], lines = []] of logs) {
      expect(gapsIn(received)).toEqual([]);
      expect(received).toHaveLength(lines.length);
    }
    expect(proxy.cuts).toBeGreaterThan(0);
  } finally {
    await proxy.stop();
  }
});

/** Lets so many bytes pass, and ends. */
function cutAfter(bytes: number): TransformStream<Uint8Array, Uint8Array> {
  let left = bytes;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
}
