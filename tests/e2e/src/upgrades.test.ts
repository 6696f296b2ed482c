import { once } from 'node:events';
import { copyFileSync, renameSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { TRPCClientError } from '@trpc/client';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';

import { followLog, gapsIn, printed, watch } from './harness/client.js';
import { definition } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { linesOf, unique } from './harness/runs.js';
import { Hopeless, until } from './harness/until.js';

let slipway: Installation;
beforeEach(async () => {
  slipway = await Installation.start();
});
afterEach(async () => await slipway?.stop());

const ROUNDS = 3;
const RUNS_AT_A_TIME = 6;
const LINES = 300;

/** How an upgrade puts a program in place: a new file takes the name of the old one, which may be running. */
function upgrade(): void {
  const binary = join(slipway.files, 'slipway');
  const draft = `${binary}.new`;
  copyFileSync(slipway.binary, draft);
  renameSync(draft, binary);
  slipway.binary = binary;
}

/** Calls until an answer comes: a connection that was kept for later may have been closed meanwhile. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  return await until('a call is answered', async () => {
    try {
      return { answer: await call() };
    } catch (error) {
      // An answer of the server's, whatever it says, is not repeated.
      if (error instanceof TRPCClientError && error.data) throw new Hopeless(`refused: ${error.message}`);
      return undefined;
    }
  }).then(({ answer }) => answer);
}

/** Asked over a connection of its own. */
async function statusOf(url: string): Promise<number | undefined> {
  const request = get(url, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode;
}

/** Opens connections of its own, one after the other, until it is stopped: how many were answered, and what was not. */
function connectSteadily() {
  let stopped = false;
  let answered = 0;
  const failures: string[] = [];
  const done = (async () => {
    while (!stopped) {
      try {
        const status = await statusOf(`${slipway.url}/healthz`);
        if (status === 200) answered += 1;
        else failures.push(`status ${status}`);
      } catch (error) {
        failures.push(String(error));
      }
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await done;
      return { answered, failures };
    },
  };
}

test('server and workers are replaced again and again under load, and nothing is lost, repeated or refused', async () => {
  const effects = join(slipway.files, 'effects');
  const work = `echo "$SLIPWAY_RUN_ID $SLIPWAY_STEP" >> '${effects}'; for i in $(seq 1 ${LINES}); do echo $i; [ $((i % 10)) -ne 0 ] || sleep 0.05; done`;
  const pipeline = await slipway.client.pipelines.create.mutate({
    name: unique('load'),
    definition: definition([
      { name: 'first', run: work },
      { name: 'second', needs: ['first'], run: work },
    ]),
  });

  let isOver = false;
  const runs: string[] = [];
  const followUp = async () => {
    while (!isOver) {
      const idempotencyKey = unique('trigger');
      const run = await patiently(() =>
        slipway.client.pipelines.trigger.mutate({ pipelineId: pipeline.id, idempotencyKey }),
      );
      runs.push(run.id);
      const log = followLog(slipway.client, run.id);
      const states = watch(slipway.client, run.id);
      const last = (await states.done).at(-1);
      const lines = await log.done;
      expect(last).toMatchObject({ status: 'succeeded', attempt: 1 });
      expect(last?.steps.map((step) => [step.status, step.attempt])).toEqual([
        ['succeeded', 1],
        ['succeeded', 1],
      ]);
      expect(gapsIn(lines)).toEqual([]);
      const once = Array.from({ length: LINES }, (_, index) => String(index + 1));
      expect(printed(lines)).toEqual([...once, ...once]);
    }
  };
  const load = Array.from({ length: RUNS_AT_A_TIME }, followUp);
  const loaded = Promise.all(load);
  // Looked at when the load ends; until then it must not count as unhandled.
  loaded.catch(() => undefined);
  const connections = connectSteadily();

  for (let round = 1; round <= ROUNDS; round += 1) {
    await until(`round ${round} has runs under way`, () => linesOf(effects).length >= round * RUNS_AT_A_TIME);
    upgrade();
    await slipway.replaceServer();
    await slipway.restartWorkers();
  }
  isOver = true;
  await loaded;

  const { answered, failures } = await connections.stop();
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThan(ROUNDS);
  const expected = runs.flatMap((run) => [`${run} first`, `${run} second`]);
  expect(linesOf(effects).sort()).toEqual(expected.sort());
});

test('a server that is restarted by TERM is missed for a moment only, and open streams go on', async () => {
  const gate = join(slipway.files, 'effects');
  const pipeline = await slipway.client.pipelines.create.mutate({
    name: unique('restart'),
    definition: definition([
      { name: 'work', run: `echo begun >> '${gate}'; for i in $(seq 1 200); do echo $i; sleep 0.02; done` },
    ]),
  });
  const run = await slipway.client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
  const logs = Array.from({ length: 5 }, () => followLog(slipway.client, run.id));
  const states = watch(slipway.client, run.id);
  for (let round = 1; round <= ROUNDS; round += 1) {
    await until('lines have come', () => logs.every((log) => log.items.length >= round * 10));
    upgrade();
    for (const code of await slipway.terminate()) expect(code).toBe(0);
    await slipway.startPrograms();
  }
  expect((await states.done).at(-1)).toMatchObject({ status: 'succeeded', attempt: 1 });
  for (const log of logs) {
    const lines = await log.done;
    expect(gapsIn(lines)).toEqual([]);
    expect(printed(lines)).toEqual(Array.from({ length: 200 }, (_, index) => String(index + 1)));
  }
  expect(linesOf(gate)).toEqual(['begun']);
});

test.runIf(inject('database') === 'postgres')('backup and restore say what to do with PostgreSQL', async () => {
  for (const args of [['backup'], ['restore', 'a-file']]) {
    const { code, output } = await slipway.operate(...args);
    expect(code).toBe(2);
    expect(output).toMatch(/PostgreSQL/);
    expect(output).toMatch(/pg_(dump|restore)/);
  }
});
