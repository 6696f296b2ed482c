import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  connect,
  connectPlainly,
  contents,
  followLog,
  followLogPlainly,
  gapsIn,
  printed,
  type Following,
  type Line,
} from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { CuttingProxy } from './harness/proxy.js';
import { finish, runToEnd, trigger, unique, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

const LINES = 200_000;
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

/** Not `toEqual` on the whole, whose message for 200,000 lines nobody could read. */
function expectEveryNumberOnce(lines: Line[]): void {
  expect(gapsIn(lines)).toEqual([]);
  const numbers = printed(lines);
  expect(numbers.length).toBe(LINES);
  expect(numbers.findIndex((text, index) => text !== String(index + 1))).toBe(-1);
}

describe(`a step prints ${LINES} lines, and every connection is cut after ${CUT_AFTER_MS} ms`, () => {
  const clients: [string, (runId: string) => Following<Line>][] = [
    ['createClient', (runId) => followLog(connect(proxy.url, slipway.adminToken), runId)],
    [
      'a plain tRPC client',
      (runId) => followLogPlainly(connectPlainly(proxy.url, slipway.adminToken), runId),
    ],
  ];
  test.each(clients)('%s is given each line exactly once and in order', async (_, follow) => {
    const cutsBefore = proxy.cuts;
    const run = await trigger(slipway.client, script(`seq 1 ${LINES}`));
    const lines = await follow(run.id).done;
    expect(proxy.cuts).toBeGreaterThan(cutsBefore);
    expectEveryNumberOnce(lines);
  });
});

test('a stream gives the same lines whether it is opened before the start, amid or after the end', async () => {
  const started = join(slipway.files, unique('started'));
  const gate = join(slipway.files, unique('gate'));
  const run = await trigger(
    slipway.client,
    script(`seq 1 500; echo started >> '${started}'; ${waitFor(gate)}; seq 501 1000`),
  );
  const early = followLog(slipway.client, run.id);
  await written(started);
  await until('half of the lines are there', () => printed(early.items).length >= 500);
  const amid = followLog(slipway.client, run.id);
  await until('the second stream has caught up', () => printed(amid.items).length >= 500);
  writeFileSync(gate, '');
  const first = await early.done;
  expect(printed(first)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index + 1)));
  expect(contents(await amid.done)).toEqual(contents(first));
  expect(contents(await followLog(slipway.client, run.id).done)).toEqual(contents(first));
});

test('a stream that is resumed by number begins with the next line', async () => {
  const { run, lines } = await runToEnd(slipway.client, script('seq 1 300'));
  for (const after of [0, 1, 150, lines.length - 1, lines.length]) {
    const rest = await followLog(slipway.client, run.id, after).done;
    expect(contents(rest)).toEqual(contents(lines.slice(after)));
  }
});

test('pages of a log are the same lines as the stream, forwards and from the end', async () => {
  const { run, lines } = await runToEnd(slipway.client, script('seq 1 250'));
  const paged: Line[] = [];
  let from: number | null = 1;
  while (from !== null) {
    const page: { items: Line[]; total: number; nextFrom: number | null } =
      await slipway.client.runs.logs.query({ runId: run.id, from, limit: 60 });
    expect(page.total).toBe(lines.length);
    paged.push(...page.items);
    from = page.nextFrom;
  }
  expect(contents(paged)).toEqual(contents(lines));
  const end = await slipway.client.runs.logs.query({ runId: run.id, from: -5, limit: 5 });
  expect(contents(end.items)).toEqual(contents(lines.slice(-5)));
});

test('twenty streams of one run at a time are given the same lines', async () => {
  const run = await trigger(slipway.client, script('seq 1 5000'));
  const streams = Array.from({ length: 20 }, () => followLog(slipway.client, run.id).done);
  const { lines } = await finish(slipway.client, run.id);
  for (const stream of await Promise.all(streams)) {
    expect(stream.length).toBe(lines.length);
    expect(gapsIn(stream)).toEqual([]);
  }
});
