// A run that cannot proceed says why, wherever it is looked at, and no longer than it is so.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, inject, test } from 'vitest';

import { followLog, watch, type Following, type State } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import type { Program } from './harness/processes.js';
import { finish, trigger, unique, untilStatus, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
afterEach(async () => await slipway?.stop());

/** Looks at a run in every way that there is. */
class Witness {
  private readonly states: Following<State>;
  private readonly cli: Program;

  constructor(readonly runId: string) {
    this.states = watch(slipway.client, runId);
    this.cli = slipway.startCli('watch', runId);
  }

  /** What the run says of itself when it is asked for, and in the list. */
  private async reasons(): Promise<(string | null)[]> {
    const { reason } = await slipway.client.runs.get.query({ runId: this.runId });
    const { items } = await slipway.client.runs.list.query({ limit: 100 });
    const listed = items.find((run) => run.id === this.runId);
    return [reason, listed?.reason ?? null, this.states.items.at(-1)?.reason ?? null];
  }

  async sees(words: RegExp): Promise<void> {
    await until(`run ${this.runId} says ${words}`, async () =>
      (await this.reasons()).every((reason) => reason !== null && words.test(reason)),
    );
    await until(`the command line says ${words}`, () => words.test(this.cli.output));
  }

  async seesNothing(): Promise<void> {
    await until(`run ${this.runId} has nothing to say`, async () =>
      (await this.reasons()).every((reason) => reason === null),
    );
  }

  /** The run ends well, and the watchers were told each state once. */
  async seesTheEnd(): Promise<void> {
    const states = await this.states.done;
    expect(states.at(-1)).toMatchObject({ status: 'succeeded', reason: null });
    const versions = states.map((state) => state.version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    const told = states.map(({ version, reason }) => `${version} ${reason}`);
    expect(told).toEqual(told.filter((state, index) => state !== told[index - 1]));
    expect(await this.cli.exit()).toBe(0);
  }
}

const gate = (name = 'gate') => join(slipway.files, name);
const open = (name = 'gate') => writeFileSync(gate(name), '');

test('without a worker a run says so, and its log says it once one is there', async () => {
  slipway = await Installation.start({ withoutWorkers: true });
  const run = await trigger(slipway.client, script(`echo hello; ${waitFor(gate())}`));
  const log = followLog(slipway.client, run.id);
  const witness = new Witness(run.id);
  await witness.sees(/waiting: no worker has been seen for \d+ s/);
  await until('it has waited for more than five seconds', () => Date.now() - Date.parse(run.createdAt) > 6_000);
  expect(log.items).toEqual([]);

  slipway.startWorker();
  await untilStatus(slipway.client, run.id, 'running');
  await witness.seesNothing();
  open();
  const { lines } = await finish(slipway.client, run.id);
  expect(lines[0]).toMatchObject({ n: 1, stream: 'system', step: null });
  expect(lines[0]?.message).toMatch(/^waited \d+ s: no worker was there$/);
  await witness.seesTheEnd();
});

test('a run says how many are ahead while all places are taken', async () => {
  slipway = await Installation.start({ env: { SLIPWAY_CONCURRENCY: '1' } });
  const pipeline = await slipway.client.pipelines.create.mutate({
    name: unique('taken'),
    definition: script(waitFor(gate())),
  });
  const start = () => slipway.client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
  const places = slipway.workerCount;
  const holders = [];
  for (let index = 0; index < places; index += 1) holders.push(await start());
  for (const holder of holders) await untilStatus(slipway.client, holder.id, 'running');
  const queued = [await start(), await start(), await start()].map((run) => new Witness(run.id));
  const taken = places === 1 ? 'the only place is taken' : 'all 2 places of 2 workers are taken';
  for (const [index, words] of ['it is next', '1 run is ahead', '2 runs are ahead'].entries()) {
    await queued[index]?.sees(new RegExp(`waiting: ${taken}, ${words}`));
  }
  open();
  for (const witness of queued) await witness.seesTheEnd();
});

// On SQLite a worker that is stopped amid a write holds up everybody: there it cannot be silent and others well.
test.runIf(inject('database') === 'postgres')('a run says that its worker is silent, and no longer once it speaks again', async () => {
  slipway = await Installation.start({ withoutWorkers: true, env: { SLIPWAY_HOST_SILENCE: '5m' } });
  const worker = slipway.startWorker();
  const run = await trigger(slipway.client, script(waitFor(gate())));
  await untilStatus(slipway.client, run.id, 'running');
  const witness = new Witness(run.id);
  worker.signal('SIGSTOP');
  try {
    await witness.sees(/waiting: its worker \S+ has been silent for \d+ s, another takes over after 5 min/);
    const queued = await trigger(slipway.client, script('true'));
    await new Witness(queued.id).sees(/waiting: no worker has been seen for \d+ s/);
  } finally {
    worker.signal('SIGCONT');
  }
  await witness.seesNothing();
  open();
  await witness.seesTheEnd();
});

test('between two attempts a run says when the next one comes, and why', async () => {
  slipway = await Installation.start();
  const run = await trigger(
    slipway.client,
    script(`[ -e '${gate()}' ]`, { retry: { attempts: 2, delay: '5s' } }),
  );
  const witness = new Witness(run.id);
  await witness.sees(/waiting for attempt 2 of 2, in \d+ s: attempt 1 failed: .*work/);
  open();
  await witness.seesTheEnd();
});

describe('while Redis does not serve', () => {
  const since = String.raw`since 20\d\d-\d\d-\d\dT[\d:.]+Z`;

  /** Breaks Redis, sees what a run says that was triggered meanwhile and what one says that runs, and heals it. */
  async function outage(words: string, breaks: () => void | Promise<void>, heals: () => void | Promise<void>) {
    slipway = await Installation.start();
    const running = await trigger(slipway.client, script(`echo one; ${waitFor(gate())}; echo two`));
    await untilStatus(slipway.client, running.id, 'running');
    const witness = new Witness(running.id);
    await breaks();
    try {
      await witness.sees(new RegExp(`waiting: redis ${words} ${since}; its steps go on meanwhile`));
      const queued = await trigger(slipway.client, script('echo hello'));
      const other = new Witness(queued.id);
      await other.sees(new RegExp(`waiting: redis ${words} ${since}`));
      if (words === 'is unreachable') await answersAsUsual(queued.id);
      await heals();
      await other.seesTheEnd();
    } finally {
      await heals();
    }
    await witness.seesNothing();
    open();
    await witness.seesTheEnd();
  }

  /** One after the other, in less than the time that a single call to Redis may take. */
  async function answersAsUsual(runId: string): Promise<void> {
    const callTimeoutMs = 3_000;
    const started = performance.now();
    for (let count = 0; count < 50; count += 1) await slipway.client.runs.get.query({ runId });
    expect(performance.now() - started).toBeLessThan(callTimeoutMs);
  }

  test('it is stopped: unreachable', async () => {
    await outage(
      'is unreachable',
      () => slipway.signalRedis('SIGSTOP'),
      () => slipway.signalRedis('SIGCONT'),
    );
  });

  test('it takes no writes for want of memory', async () => {
    await outage(
      String.raw`takes no writes \(out of memory\)`,
      async () => expect(await slipway.askRedis('CONFIG SET maxmemory 1')).toBe('+OK'),
      async () => expect(await slipway.askRedis('CONFIG SET maxmemory 0')).toBe('+OK'),
    );
  });

  test('it is a replica: read-only', async () => {
    await outage(
      String.raw`takes no writes \(read-only\)`,
      async () => expect(await slipway.askRedis('REPLICAOF 127.0.0.1 1')).toBe('+OK'),
      async () => expect(await slipway.askRedis('REPLICAOF NO ONE')).toBe('+OK'),
    );
  });

  test('it is killed and comes back empty', async (context) => {
    slipway = await Installation.start();
    // A private one is back before anybody has to wait.
    if (slipway.redisKind === 'private') return context.skip();
    const run = await trigger(slipway.client, script(`echo one; ${waitFor(gate())}; echo two`));
    await untilStatus(slipway.client, run.id, 'running');
    const witness = new Witness(run.id);
    await slipway.killRedis();
    await witness.sees(new RegExp(`waiting: redis is unreachable ${since}`));
    await answersAsUsual(run.id);
    slipway.startRedis();
    await witness.seesNothing();
    open();
    await witness.seesTheEnd();
  });
});
