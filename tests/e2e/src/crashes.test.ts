import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { connectPlainly, contents, followLog, followLogPlainly, gapsIn, printed } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { supervisorsIn } from './harness/processes.js';
import { finish, linesOf, runToEnd, trigger, untilStatus, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
beforeEach(async () => {
  slipway = await Installation.start();
});
afterEach(async () => await slipway?.stop());

const file = (name: string) => join(slipway.files, name);
const numbers = (to: number) => Array.from({ length: to }, (_, index) => String(index + 1));

describe('server and workers are killed and started again three times amid a step', () => {
  test('the step goes on, and open streams give each line exactly once', async () => {
    const rounds = 3;
    const perRound = 10_000;
    const parts = Array.from({ length: rounds + 1 }, (_, round) => {
      const from = round * perRound + 1;
      const gate = round < rounds ? waitFor(file(`gate-${round}`)) : 'true';
      return `seq ${from} ${from + perRound - 1}; echo ${round} >> '${file('reached')}'; ${gate}`;
    });
    const run = await trigger(
      slipway.client,
      script([`echo begun >> '${file('effects')}'`, ...parts].join('\n'), { retry: { attempts: 3 } }),
    );
    const lines = followLog(slipway.client, run.id);
    const plainly = followLogPlainly(connectPlainly(slipway.url, slipway.adminToken), run.id);

    for (let round = 0; round < rounds; round += 1) {
      await written(file('reached'), round + 1);
      await slipway.kill();
      // The step goes on while nobody looks after it, and says so outside of the log.
      writeFileSync(file(`gate-${round}`), '');
      await written(file('reached'), round + 2);
      await slipway.startPrograms();
    }
    const { state, lines: afterwards } = await finish(slipway.client, run.id);

    expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
    expect(state.steps.map((step) => step.attempt)).toEqual([1]);
    expect(linesOf(file('effects'))).toEqual(['begun']);
    for (const seen of [await lines.done, await plainly.done, afterwards]) {
      expect(gapsIn(seen)).toEqual([]);
      const messages = printed(seen);
      expect(messages.length).toBe((rounds + 1) * perRound);
      expect(messages.findIndex((text, index) => text !== String(index + 1))).toBe(-1);
    }
  });

  test('steps that have ended are not run again, and those that have not begun are', async () => {
    const run = await trigger(
      slipway.client,
      definition([
        { name: 'first', run: `echo first >> '${file('effects')}'` },
        {
          name: 'second',
          needs: ['first'],
          run: `echo second >> '${file('effects')}'; ${waitFor(file('gate'))}`,
        },
        { name: 'third', needs: ['second'], run: `echo third >> '${file('effects')}'` },
      ]),
    );
    await written(file('effects'), 2);
    await slipway.kill();
    await slipway.startPrograms();
    writeFileSync(file('gate'), '');
    expect((await finish(slipway.client, run.id)).state.status).toBe('succeeded');
    expect(linesOf(file('effects'))).toEqual(['first', 'second', 'third']);
  });

  test('runs that were queued are run, each once', async () => {
    const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
      name: 'queued',
      definition: script(`echo "$SLIPWAY_RUN_ID" >> '${file('effects')}'; ${waitFor(file('gate'))}`),
    });
    const trigger = () => slipway.client.pipelines.trigger.mutate({ pipelineId });
    const runs = await Promise.all(Array.from({ length: 25 }, trigger));
    await written(file('effects'));
    await slipway.kill();
    await slipway.startPrograms();
    writeFileSync(file('gate'), '');
    for (const run of runs) expect((await finish(slipway.client, run.id)).state.status).toBe('succeeded');
    expect(linesOf(file('effects')).sort()).toEqual(runs.map((run) => run.id).sort());
  });
});

test('a step that was held back while nobody read its output goes on, and each line comes once', async () => {
  const lines = 60_000;
  await slipway.stop();
  slipway = await Installation.start({
    env: { SLIPWAY_LOG_SEGMENT_BYTES: '4MiB', SLIPWAY_LOG_BACKLOG_BYTES_MAX: '4MiB' },
  });
  const work = `echo begun >> '${file('effects')}'; ${waitFor(file('gate'))}; seq -f '%0100.0f' ${lines}`;
  const run = await trigger(slipway.client, script(work));
  await written(file('effects'));
  await slipway.kill();
  writeFileSync(file('gate'), '');
  const spools = readdirSync(slipway.dir).map((name) =>
    join(slipway.dir, name, 'runs', run.id, 'steps', '0-1', 'spool'),
  );
  const spool = spools.find((path) => existsSync(path)) ?? '';
  await until('the step is held back', () => statSync(spool).blocks * 512 > 4 << 20);
  await slipway.startPrograms();
  const { state, lines: seen } = await finish(slipway.client, run.id);
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(gapsIn(seen)).toEqual([]);
  const messages = printed(seen);
  expect(messages.length).toBe(lines);
  expect(messages.findIndex((text, index) => Number(text) !== index + 1)).toBe(-1);
});

test('Redis is killed amid a step, and each line still comes once', async () => {
  const run = await trigger(
    slipway.client,
    script(`seq 1 500; ${waitFor(file('gate'))}; seq 501 1000`),
  );
  const stream = followLog(slipway.client, run.id);
  await until('the first half is there', () => printed(stream.items).length === 500);
  await slipway.crashRedis();
  writeFileSync(file('gate'), '');
  const lines = await stream.done;
  expect(gapsIn(lines)).toEqual([]);
  expect(printed(lines)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index + 1)));
  const { state, lines: again } = await finish(slipway.client, run.id);
  expect(state.status).toBe('succeeded');
  expect(contents(again)).toEqual(contents(lines));
});

test('Redis loses the log of a run that has ended and could not be archived, and no line is lost', async () => {
  mkdirSync(slipway.objects, { recursive: true });
  const inTheWay = join(slipway.objects, 'logs');
  writeFileSync(inTheWay, '');
  const run = await trigger(slipway.client, script('seq 1 500'));
  await untilStatus(slipway.client, run.id, 'succeeded');
  await slipway.crashRedis();
  rmSync(inTheWay);
  const { lines } = await finish(slipway.client, run.id);
  expect(printed(lines)).toEqual(numbers(500));
});

test('a step whose supervisor was killed is run again, and status and log say so', async () => {
  const run = await trigger(
    slipway.client,
    script(
      [
        `echo begun >> '${file('effects')}'`,
        `if [ "$(wc -l < '${file('effects')}')" -ge 2 ]; then echo "second time"; exit 0; fi`,
        'echo "first time"',
        'sleep 1000',
      ].join('\n'),
      { retry: { attempts: 3, delay: '1s' } },
    ),
  );
  const stream = followLog(slipway.client, run.id);
  await until('its first line is there', () => printed(stream.items).includes('first time'));
  const supervisors = supervisorsIn(slipway.dir);
  expect(supervisors.length).toBe(1);
  for (const { pid } of supervisors) process.kill(pid, 'SIGKILL');

  const { state, lines } = await finish(slipway.client, run.id);
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(state.steps[0]).toMatchObject({ status: 'succeeded', attempt: 2 });
  expect(linesOf(file('effects'))).toEqual(['begun', 'begun']);
  expect(printed(lines)).toEqual(['first time', 'second time']);
  expect(lines.find((line) => line.message === 'second time')?.attempt).toBe(2);
  const between = lines.slice(
    lines.findIndex((line) => line.message === 'first time') + 1,
    lines.findIndex((line) => line.message === 'second time'),
  );
  expect(between.filter((line) => line.stream === 'system').length).toBeGreaterThan(0);
  const details = await slipway.client.runs.get.query({ runId: run.id });
  expect(details.earlierSteps.map((step) => [step.attempt, step.status])).toEqual([[1, 'lost']]);
});

test('TERM ends server and workers with exit code 0, and the next ones finish what was running', async () => {
  const run = await trigger(
    slipway.client,
    script(`echo begun >> '${file('effects')}'; seq 1 100; ${waitFor(file('gate'))}; seq 101 200`),
  );
  const stream = followLog(slipway.client, run.id);
  await until('half of the lines are there', () => printed(stream.items).length >= 100);
  for (const code of await slipway.terminate()) expect(code).toBe(0);
  writeFileSync(file('gate'), '');
  await slipway.startPrograms();

  const { state, lines } = await finish(slipway.client, run.id);
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(linesOf(file('effects'))).toEqual(['begun']);
  expect(printed(lines)).toEqual(numbers(200));
  expect(contents(await stream.done)).toEqual(contents(lines));
});

test('programs of whose words nobody reads another one work on, and end as they are asked to', async () => {
  slipway.leaveUnread();
  const { state } = await runToEnd(slipway.client, script('seq 1 100'));
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
  for (const code of await slipway.terminate()) expect(code).toBe(0);
});
