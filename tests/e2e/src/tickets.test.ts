import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type AppRouter } from '@slipway/client';
import { createTRPCClient, httpSubscriptionLink, type TRPCClientErrorLike } from '@trpc/client';
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { connect, gapsIn, printed, type Client, type Line } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { CuttingProxy } from './harness/proxy.js';
import { trigger, unique, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

const CUTS = 3;
const CUT_AFTER_MS = 200;

let slipway: Installation;
let proxy: CuttingProxy;

beforeAll(async () => {
  slipway = await Installation.start();
  proxy = await CuttingProxy.start(slipway.port, CUT_AFTER_MS);
});
afterAll(async () => {
  await proxy?.stop();
  await slipway?.stop();
});

interface Stream {
  lines: Line[];
  /** What it was opened with, in their order. */
  tickets: string[];
  done: Promise<void>;
}

/** The log of a run, by tRPC's own link and an event source without any header; `maker` gets the tickets. */
function follow(maker: Client, runId: string): Stream {
  const stream: Stream = { lines: [], tickets: [], done: Promise.resolve() };
  const client = createTRPCClient<AppRouter>({
    links: [
      httpSubscriptionLink({
        url: `${proxy.url}/trpc`,
        EventSource,
        connectionParams: async () => {
          const wanted = { path: 'pipelines.streamLogs', input: { runId } } as const;
          const { ticket } = await maker.auth.streamTicket.mutate(wanted);
          stream.tickets.push(ticket);
          return { ticket };
        },
      }),
    ],
  });
  stream.done = new Promise((resolve, reject: (error: TRPCClientErrorLike<AppRouter>) => void) => {
    client.pipelines.streamLogs.subscribe(
      { runId },
      { onData: ({ data }) => stream.lines.push(data), onComplete: resolve, onError: reject },
    );
  });
  // Whoever awaits it is told; a test that fails before that is not to fail twice.
  stream.done.catch(() => undefined);
  return stream;
}

test('one ticket carries a stream through every cut of its connection', async () => {
  const gate = join(slipway.files, unique('gate'));
  const run = await trigger(slipway.client, script(`seq 1 1000; ${waitFor(gate)}; seq 1001 2000`));
  const stream = follow(slipway.client, run.id);
  await until('half of the lines are there', () => printed(stream.lines).length >= 1000);
  const cutsBefore = proxy.cuts;
  await until('the connection was cut again and again', () => proxy.cuts >= cutsBefore + CUTS);
  writeFileSync(gate, '');
  await stream.done;
  expect(stream.tickets).toHaveLength(1);
  expect(gapsIn(stream.lines)).toEqual([]);
  expect(printed(stream.lines)).toHaveLength(2000);
  expect(slipway.output).not.toContain(stream.tickets[0]);
});

test('a ticket ends with the token that it was made with, and says so', async () => {
  const { token, value } = await slipway.client.tokens.create.mutate({ name: unique('viewer'), role: 'viewer' });
  const gate = join(slipway.files, unique('gate'));
  const run = await trigger(slipway.client, script(`echo first; ${waitFor(gate)}`));
  const stream = follow(connect(slipway.url, value), run.id);
  await until('the stream is open', () => printed(stream.lines).includes('first'));
  await slipway.client.tokens.revoke.mutate({ token: token.id });
  // The next cut has it come back, and then it is not let in.
  await expect(stream.done).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED', httpStatus: 401 } });
  writeFileSync(gate, '');
});
