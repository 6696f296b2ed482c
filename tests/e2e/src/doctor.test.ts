// The doctor names what is wrong, and mends what it says that it mends, with the server up or down.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { printed } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation, type Report } from './harness/installation.js';
import { supervisorsIn } from './harness/processes.js';
import { finish, linesOf, runToEnd, trigger, untilStatus, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
afterEach(async () => await slipway?.stop());

const file = (name: string) => join(slipway.files, name);
const verdict = (report: Report, name: string) => report.checks.find((check) => check.name === name)?.verdict;

/** A check that is not well says what to do. */
function expectAdvice(report: Report): void {
  for (const check of report.checks) {
    if (check.verdict !== 'ok') expect(check.advice, check.name).toBeTruthy();
  }
}

const unknownRun = '01890a5d-ac96-774b-bcce-b302099a8fff';

test('an installation that is well is told so, and is left as it is', async () => {
  slipway = await Installation.start();
  await runToEnd(slipway.client, script('echo hello'));
  const report = await slipway.doctor('s');
  expect(report.checks.filter((check) => check.verdict === 'fail')).toEqual([]);
  for (const name of ['database', 'redis', 'redis eviction', 'object store', 'workers', 'queued runs', 'jobs']) {
    expect(verdict(report, name), name).toBe('ok');
  }
  expect(report.repairs).toEqual([]);
  expect((await slipway.doctor('s', '--repair')).repairs).toEqual([]);
});

test('faults of the host and of Redis are named one by one', async () => {
  slipway = await Installation.start();
  await runToEnd(slipway.client, script('echo hello'));
  const dir = join(slipway.dir, 's');

  await slipway.askRedis('CONFIG SET maxmemory-policy allkeys-lru');
  expect(verdict(await slipway.doctor('s'), 'redis eviction')).toBe('fail');
  await slipway.askRedis('CONFIG SET maxmemory-policy noeviction');

  await slipway.askRedis('CONFIG SET maxmemory 1');
  const full = await slipway.doctor('s');
  expect(full.checks.find((check) => check.name === 'redis')).toMatchObject({
    verdict: 'fail',
    message: 'redis takes no writes (out of memory)',
  });
  expectAdvice(full);
  await slipway.askRedis('CONFIG SET maxmemory 0');

  await slipway.askRedis('CONFIG SET appendonly no');
  expect(verdict(await slipway.doctor('s'), 'redis persistence')).toBe('warn');

  renameSync(slipway.objects, `${slipway.objects}-away`);
  writeFileSync(slipway.objects, '');
  const without = await slipway.doctor('s');
  expect(without.ok).toBe(false);
  expectAdvice(without);
  rmSync(slipway.objects);
  renameSync(`${slipway.objects}-away`, slipway.objects);

  chmodSync(dir, 0o777);
  writeFileSync(join(dir, 'admin-token'), 'slw_0123456789abcdef0123456789\n', { mode: 0o644 });
  chmodSync(join(dir, 'admin-token'), 0o644);
  const open = await slipway.doctor('s');
  expect([verdict(open, 'data directory'), verdict(open, 'file modes')]).toEqual(['warn', 'warn']);
  expect((await slipway.doctor('s')).repairs).toEqual([]);
  expect(statSync(dir).mode & 0o777).toBe(0o777);
  const { repairs } = await slipway.doctor('s', '--repair');
  expect(repairs).toHaveLength(2);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, 'admin-token')).mode & 0o777).toBe(0o600);
  expect((await slipway.doctor('s', '--repair')).repairs).toEqual([]);
});

test('a queue that was lost while nobody was there to mend it is made again', async () => {
  slipway = await Installation.start({ withoutWorkers: true });
  const run = await trigger(slipway.client, script(`echo hello >> '${file('effects')}'`));
  // The server would add the job again by itself. Nor is it asked, which would take its time.
  slipway.signalServer('SIGSTOP');
  const look = (...args: string[]) => slipway.doctor('s', '--url', 'http://127.0.0.1:1', ...args);
  try {
    expect(await slipway.askRedis('FLUSHALL')).toBe('+OK');
    const found = await until('the run has waited too long', async () => {
      const report = await look();
      return verdict(report, 'queued runs') === 'fail' && report;
    });
    expect(found.ok).toBe(false);
    expect(found.checks.find((check) => check.name === 'queued runs')?.message).toContain(run.id);
    expect(verdict(found, 'workers')).toBe('warn');
    expectAdvice(found);
    const { repairs, checks } = await look('--repair');
    expect(repairs).toEqual([`run ${run.id} has its job again`]);
    expect(checks.find((check) => check.name === 'queued runs')?.verdict).toBe('ok');
    expect((await look('--repair')).repairs).toEqual([]);
  } finally {
    slipway.signalServer('SIGCONT');
  }
  slipway.startWorker();
  expect((await finish(slipway.client, run.id)).state.status).toBe('succeeded');
  expect(linesOf(file('effects'))).toEqual(['hello']);
});

test('with everything down, what this machine has left is found and mended, and no run is lost', async () => {
  slipway = await Installation.start();
  const done = await runToEnd(slipway.client, script('seq 1 100'));
  const kept = await trigger(
    slipway.client,
    script(`echo begun >> '${file('effects')}'; ${waitFor(file('gate'))}; echo done`, { retry: { attempts: 3 } }),
  );
  await written(file('effects'));
  await untilStatus(slipway.client, kept.id, 'running');
  await slipway.kill();

  const machine = slipway.machines.find((name) => existsSync(join(slipway.dir, name, 'runs', kept.id)));
  if (machine === undefined) throw new Error('no machine has the run');
  const home = join(slipway.dir, machine);
  mkdirSync(join(home, 'runs', unknownRun));
  const report = await slipway.doctor(machine);
  expect(report.checks.find((check) => check.name === 'directories')).toMatchObject({
    verdict: 'warn',
    message: expect.stringContaining(unknownRun) as string,
  });
  expect(verdict(report, 'server')).toBe('warn');
  expect(existsSync(join(home, 'runs', unknownRun))).toBe(true);
  expect(supervisorsIn(slipway.dir)).toHaveLength(1);

  const { repairs } = await slipway.doctor(machine, '--repair');
  expect(repairs).toContain(`the directory of run ${unknownRun} was removed`);
  expect(repairs).toContain(`run ${kept.id} was handed back to the queue`);
  expect(repairs).toHaveLength(2);
  expect((await slipway.doctor(machine, '--repair')).repairs).toEqual([]);
  expect(supervisorsIn(slipway.dir)).toHaveLength(1);

  writeFileSync(file('gate'), '');
  await slipway.startPrograms();
  const { state, lines } = await finish(slipway.client, kept.id);
  expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(printed(lines)).toEqual(['done']);
  expect(linesOf(file('effects'))).toEqual(['begun']);
  expect(printed((await finish(slipway.client, done.run.id)).lines)).toHaveLength(100);
});
