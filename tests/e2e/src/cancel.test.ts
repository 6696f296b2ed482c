import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesThatAre, processesWith } from './harness/processes.js';
import { finish, linesOf, trigger, unique, uniqueSeconds, untilStatus, written } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

describe('after runs.cancel no process of the step is left', () => {
  const scripts: [string, (sleep: string) => string][] = [
    ['a child in the background', (sleep) => `sh -c '${sleep} & ${sleep}'`],
    ['a child that began a session of its own', (sleep) => `setsid ${sleep} & ${sleep}`],
    [
      'a child whose parent has ended',
      (sleep) => `(${sleep} &) ; (setsid sh -c '${sleep} & ${sleep}' &) ; ${sleep}`,
    ],
    [
      'a child that ignores TERM',
      (sleep) => `(trap '' TERM; ${sleep}; ${sleep}) & trap '' TERM; ${sleep}; ${sleep}`,
    ],
  ];
  test.each(scripts)('%s', async (_, of) => {
    const seconds = uniqueSeconds();
    const run = await trigger(slipway.client, script(of(`sleep ${seconds}`)));
    await until('the step sleeps', () => processesThatAre(`sleep ${seconds}`).length > 0);
    const asked = await slipway.client.runs.cancel.mutate({ runId: run.id });
    expect(['canceling', 'canceled']).toContain(asked.status);
    const { state } = await finish(slipway.client, run.id);
    expect(state.status).toBe('canceled');
    // What the status says is so: nothing of it is left at this very moment.
    expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  });
});

test('what a step prints while it is being ended belongs to its log', async () => {
  const seconds = uniqueSeconds();
  const run = await trigger(
    slipway.client,
    script(`trap 'echo "cleaned up"; exit 1' TERM; echo ready; sleep ${seconds} & wait`),
  );
  await until('the step sleeps', () => processesThatAre(`sleep ${seconds}`).length > 0);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  const { state, lines } = await finish(slipway.client, run.id);
  expect(state.status).toBe('canceled');
  expect(lines.map((line) => line.message)).toContain('cleaned up');
});

test('after a cancel, steps that always run do, and the others do not', async () => {
  const effects = join(slipway.files, unique('effects'));
  const run = await trigger(
    slipway.client,
    definition([
      { name: 'long', run: `echo long >> '${effects}'; sleep 1000` },
      { name: 'next', needs: ['long'], run: `echo next >> '${effects}'` },
      { name: 'tidy', needs: ['long'], when: 'always', run: `echo tidy >> '${effects}'` },
    ]),
  );
  await written(effects);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  expect((await finish(slipway.client, run.id)).state.status).toBe('canceled');
  expect(linesOf(effects)).toEqual(['long', 'tidy']);
});

test('a queued run that is canceled never starts', async () => {
  const effects = join(slipway.files, unique('effects'));
  const seconds = uniqueSeconds();
  // As many as run side by side, so that the next one has to wait.
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('busy'),
    definition: script(`echo busy >> '${effects}'; sleep ${seconds}`),
  });
  const busy = await Promise.all(
    Array.from({ length: 5 * slipway.workerCount }, () =>
      slipway.client.pipelines.trigger.mutate({ pipelineId }),
    ),
  );
  await written(effects, busy.length);
  const queued = await slipway.client.pipelines.trigger.mutate({ pipelineId });
  const canceled = await slipway.client.runs.cancel.mutate({ runId: queued.id });
  expect(canceled.status).toBe('canceled');
  for (const run of busy) await slipway.client.runs.cancel.mutate({ runId: run.id });
  for (const run of [...busy, queued]) {
    expect((await finish(slipway.client, run.id)).state.status).toBe('canceled');
  }
  expect(linesOf(effects).length).toBe(busy.length);
});

test('cancelling a run that has ended changes nothing', async () => {
  const run = await trigger(slipway.client, script('true'));
  await untilStatus(slipway.client, run.id, 'succeeded');
  const before = await slipway.client.runs.get.query({ runId: run.id });
  const after = await slipway.client.runs.cancel.mutate({ runId: run.id });
  expect(after).toMatchObject({ status: 'succeeded', version: before.version });
});
