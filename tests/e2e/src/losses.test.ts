// What is lost on the way, and what becomes of the runs: Redis, machines, workers.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, inject, test } from 'vitest';

import { contents, followLog, gapsIn, printed } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesThatAre } from './harness/processes.js';
import { finish, linesOf, trigger, uniqueSeconds, untilStatus, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
afterEach(async () => await slipway?.stop());

const file = (name: string) => join(slipway.files, name);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

test('a run goes on and ends while Redis is away, and its lines follow when it is back', async () => {
  slipway = await Installation.start({ env: { SLIPWAY_REDIS_CALL_TIMEOUT: '500ms' } });
  const run = await trigger(
    slipway.client,
    definition([
      { name: 'first', run: `seq 1 200; ${waitFor(file('gate'))}; seq 201 400` },
      { name: 'second', needs: ['first'], run: `seq 401 600; echo second >> '${file('effects')}'` },
    ]),
  );
  const stream = followLog(slipway.client, run.id);
  await until('the first half is there', () => printed(stream.items).length === 200);
  slipway.signalRedis('SIGSTOP');
  writeFileSync(file('gate'), '');
  try {
    await untilStatus(slipway.client, run.id, 'succeeded');
    expect(linesOf(file('effects'))).toEqual(['second']);
  } finally {
    slipway.signalRedis('SIGCONT');
  }
  const lines = await stream.done;
  expect(gapsIn(lines)).toEqual([]);
  expect(printed(lines)).toEqual(numbers(1, 600));
  const { state, lines: again } = await finish(slipway.client, run.id);
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1, lines: lines.length });
  expect(contents(again)).toEqual(contents(lines));
});

describe('Redis forgets everything with 200 runs queued and five running', () => {
  test('each run is run once, and who follows a running one has each line once', async () => {
    slipway = await Installation.start();
    const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
      name: 'many',
      definition: script(`echo "$SLIPWAY_RUN_ID" >> '${file('effects')}'; seq 1 50; ${waitFor(file('gate'))}; seq 51 100`),
    });
    const places = 5 * slipway.workerCount;
    const runs = [];
    for (let count = 0; count < places + 200; count += 1) {
      runs.push(await slipway.client.pipelines.trigger.mutate({ pipelineId }));
    }
    await written(file('effects'), places);
    const first = linesOf(file('effects'))[0] ?? '';
    const stream = followLog(slipway.client, first);
    await until('the first half is there', () => printed(stream.items).length === 50);
    expect(await slipway.askRedis('FLUSHALL')).toBe('+OK');
    // Nothing is printed, and a log that was lost is there again all the same.
    const late = followLog(slipway.client, first);
    await until('who comes now has the first half too', () => printed(late.items).length === 50);
    writeFileSync(file('gate'), '');
    for (const run of runs) await untilStatus(slipway.client, run.id, 'succeeded');
    expect(linesOf(file('effects')).sort()).toEqual(runs.map((run) => run.id).sort());
    for (const lines of [await stream.done, await late.done, (await finish(slipway.client, first)).lines]) {
      expect(gapsIn(lines)).toEqual([]);
      expect(printed(lines)).toEqual(numbers(1, 100));
    }
  });
});

test('Redis forgets everything amid an attempt that fails, and the next attempt comes all the same', async () => {
  slipway = await Installation.start();
  const run = await trigger(
    slipway.client,
    script(`echo begun >> '${file('effects')}'; ${waitFor(file('gate'))}; [ "$SLIPWAY_RUN_ATTEMPT" = 2 ]`, {
      retry: { attempts: 2, delay: '100ms' },
    }),
  );
  await written(file('effects'));
  expect(await slipway.askRedis('FLUSHALL')).toBe('+OK');
  writeFileSync(file('gate'), '');
  expect((await finish(slipway.client, run.id)).state).toMatchObject({ status: 'succeeded', attempt: 2 });
  expect(linesOf(file('effects'))).toEqual(['begun', 'begun']);
});

describe.runIf(inject('database') === 'postgres' && inject('redis') === 'shared')('of two machines', () => {
  test('one that was stopped and goes on changes nothing any more, and ends what it had', async () => {
    slipway = await Installation.start({ env: { SLIPWAY_HOST_SILENCE: '4s' } });
    const seconds = uniqueSeconds();
    const run = await trigger(
      slipway.client,
      script(
        [
          `echo "$SLIPWAY_STEP_ATTEMPT" >> '${file('effects')}'`,
          'seq 1 100',
          `if [ "$(wc -l < '${file('effects')}')" -ge 2 ]; then seq 101 150; ${waitFor(file('gate'))}; seq 151 200; exit 0; fi`,
          // More than the second machine prints, so that its lines would have the numbers of these.
          `sh -c 'while sleep 0.05; do yes late | head -n 20; done' & sleep ${seconds}`,
        ].join('\n'),
        { retry: { attempts: 3 } },
      ),
    );
    const stream = followLog(slipway.client, run.id);
    await until('the step prints on', () => printed(stream.items).includes('late'));
    const machine = slipway.workerOf(run.id);
    machine.signal('SIGSTOP');
    await until('the other machine is amid the step', () => printed(stream.items).includes('150'));
    machine.signal('SIGCONT');
    await until('it has ended its step', () => processesThatAre(`sleep ${seconds}`).length === 0);
    writeFileSync(file('gate'), '');

    const { state, lines } = await finish(slipway.client, run.id);
    expect(state).toMatchObject({ status: 'succeeded', attempt: 1, lines: lines.length });
    expect(contents(await stream.done)).toEqual(contents(lines));
    expect(linesOf(file('effects'))).toEqual(['1', '2']);
    const told = lines.findIndex((line) => line.message.includes('is silent: the run starts again here'));
    expect(told).toBeGreaterThan(0);
    // One story: whatever the first machine printed stands before the word of its end, all else after it.
    expect(lines.slice(told).filter((line) => line.message === 'late')).toEqual([]);
    expect(printed(lines.slice(told))).toEqual(numbers(1, 200));
    const details = await slipway.client.runs.get.query({ runId: run.id });
    expect(details.earlierSteps.map((step) => [step.attempt, step.status])).toEqual([[1, 'lost']]);
  });

  test('a further attempt begins with the first step where the other one has the workspace and is gone', async () => {
    slipway = await Installation.start({ env: { SLIPWAY_HOST_SILENCE: '4s' } });
    const run = await trigger(
      slipway.client,
      definition([
        { name: 'make', run: `echo made >> '${file('effects')}'; echo made > made` },
        { name: 'use', needs: ['make'], run: `cat made; ${waitFor(file('gate'))}; test -e '${file('well')}'` },
      ]),
    );
    await written(file('effects'));
    const machine = slipway.workerOf(run.id);
    writeFileSync(file('gate'), '');
    await untilStatus(slipway.client, run.id, 'failed');
    machine.signal('SIGSTOP');
    try {
      writeFileSync(file('well'), '');
      await slipway.client.runs.retry.mutate({ runId: run.id, from: 'failed' });
      const { state, lines } = await finish(slipway.client, run.id);
      expect(state).toMatchObject({ status: 'succeeded', attempt: 2 });
      expect(linesOf(file('effects'))).toEqual(['made', 'made']);
      expect(printed(lines)).toEqual(['made', 'made']);
      expect(lines.filter((line) => line.message.includes('starts from its first step')).length).toBe(1);
    } finally {
      machine.signal('SIGCONT');
    }
  });
});

test('a run during which its worker dies again and again is set aside, with the reason', async () => {
  slipway = await Installation.start({ env: { SLIPWAY_LOSSES_MAX: '3' } });
  const seconds = uniqueSeconds();
  const poison = await trigger(slipway.client, script(`echo begun >> '${file('effects')}'; sleep ${seconds}`));
  await written(file('effects'));
  for (let death = 0; death < 3; death += 1) {
    // A worker that was let live would be no worse for it: only those that have the run die.
    const before = (await slipway.client.runs.get.query({ runId: poison.id })).version;
    await slipway.kill();
    await slipway.startPrograms();
    await until('somebody has taken it up again, or has set it aside', async () => {
      const { version } = await slipway.client.runs.get.query({ runId: poison.id });
      return version > before;
    });
  }
  const { state } = await finish(slipway.client, poison.id);
  expect(state.status).toBe('failed');
  expect(state.error).toContain('died 3 times in a row');
  expect(linesOf(file('effects'))).toEqual(['begun']);
  await until('nothing of it is left', () => processesThatAre(`sleep ${seconds}`).length === 0);
  // Others are worked on.
  const { state: other } = await finish(slipway.client, (await trigger(slipway.client, script('true'))).id);
  expect(other.status).toBe('succeeded');
});

test('runs end while the object store is away, and their logs are archived when it is back', async () => {
  slipway = await Installation.start();
  mkdirSync(slipway.objects, { recursive: true });
  const inTheWay = join(slipway.objects, 'logs');
  writeFileSync(inTheWay, '');
  const runs = await Promise.all([1, 2, 3].map(() => trigger(slipway.client, script('seq 1 300'))));
  for (const run of runs) await untilStatus(slipway.client, run.id, 'succeeded');
  rmSync(inTheWay);
  for (const run of runs) {
    const archive = join(slipway.objects, 'logs', run.id);
    await until('its log is in the archive', () => existsSync(archive) && readdirSync(archive).length > 0);
    expect(printed((await finish(slipway.client, run.id)).lines)).toEqual(numbers(1, 300));
  }
});
