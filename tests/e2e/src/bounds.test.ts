import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { gapsIn, printed } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesWith } from './harness/processes.js';
import { finish, runToEnd, trigger } from './harness/runs.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start({
    env: { SLIPWAY_LOG_RUN_BYTES_MAX: '1MiB', SLIPWAY_LOG_SEGMENT_BYTES: '128KiB' },
  });
});
afterAll(async () => {
  await slipway?.stop();
});

test('a log that reaches its bound says so, and the step goes on', async () => {
  const { state, lines } = await runToEnd(slipway.client, script('seq 1 100000; echo end > done; test -e done'));
  expect(state.status).toBe('succeeded');
  expect(gapsIn(lines)).toEqual([]);
  expect(printed(lines).length).toBeLessThan(100_000);
  expect(lines.at(-1)).toMatchObject({ stream: 'system' });
  expect(lines.at(-1)?.message).toContain('bound');
});

/** The most memory that servers and workers ever had, all together, in MiB. */
function peakMib(): number {
  const programs = processesWith(slipway.dir).filter(({ command }) => / (serve|worker)\b/.test(command));
  const peaks = programs.map(({ pid }) => /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return peaks.reduce((total, kib) => total + Number(kib) / 1024, 0);
}

test('what a step prints beyond the bound of its log is held nowhere', async () => {
  const before = peakMib();
  const { state, lines } = await runToEnd(slipway.client, script('yes 0123456789 | head -c 256M; echo end > done'));
  expect(state.status).toBe('succeeded');
  expect(lines.at(-1)?.message).toContain('bound');
  expect(peakMib() - before).toBeLessThan(64);
});

test('a step that prints without end is canceled like any other', async () => {
  const run = await trigger(slipway.client, script('yes'));
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  const { state, lines } = await finish(slipway.client, run.id);
  expect(state.status).toBe('canceled');
  expect(gapsIn(lines)).toEqual([]);
});

test('a log in many segments is read as one', async () => {
  const { lines } = await runToEnd(slipway.client, script('seq 1 9000'));
  expect(gapsIn(lines)).toEqual([]);
  expect(printed(lines).length).toBe(9_000);
});
