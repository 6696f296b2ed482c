// What people complain of where runs of other systems hang, come twice or cannot be ended; docs/guarantees.md names the
// tests of what is not here.
import { existsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesThatAre, processesWith } from './harness/processes.js';
import { Repository } from './harness/repository.js';
import {
  finish,
  linesOf,
  runToEnd,
  trigger,
  unique,
  uniqueSeconds,
  untilStatus,
  waitFor,
  written,
} from './harness/runs.js';
import { until } from './harness/until.js';

const QUEUE = '{slipway}:pipelines';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start({ env: { SLIPWAY_GRACE: '2s' } });
});
afterAll(async () => await slipway?.stop());

const file = (name: string) => join(slipway.files, unique(name));

/** How many jobs the queue has that are not finished. */
async function jobs(): Promise<number> {
  const { waiting, active, delayed } = (await slipway.client.system.health.query()).queue;
  return waiting + active + delayed;
}

// woodpecker-ci/woodpecker#2875
test('a canceled step that then exits with 0 does not end as a success', async () => {
  const seconds = uniqueSeconds();
  const run = await trigger(slipway.client, script(`trap 'exit 0' TERM; sleep ${seconds} & wait`));
  await until('the step sleeps', () => processesThatAre(`sleep ${seconds}`).length > 0);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  const { state } = await finish(slipway.client, run.id);
  expect([state.status, ...state.steps.map((step) => step.status)]).toEqual(['canceled', 'canceled']);
});

// actions/runner#4601
test('children that are born while their step is killed do not survive it', async () => {
  const hop = file('hop.sh');
  const born = file('born');
  // One is alive at a time: each starts the next one in a session of its own, and is gone. The last comes of itself.
  writeFileSync(hop, `echo "$1" >> '${born}'\n[ "$1" -gt 20000 ] || (setsid sh '${hop}' $(($1 + 1)) &)\n`);
  const seconds = uniqueSeconds();
  const run = await trigger(slipway.client, script(`trap '' TERM; sh '${hop}' 1; sleep ${seconds}`));
  await written(born, 20);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  expect((await finish(slipway.client, run.id)).state.status).toBe('canceled');
  expect([...processesWith(hop), ...processesWith(`sleep ${seconds}`)]).toEqual([]);
  expect(linesOf(born).length).toBeLessThan(20_000);
});

// woodpecker-ci/woodpecker#6492
test('a canceled step has time to give its lock back before it is killed', async () => {
  const lock = file('lock');
  const run = await trigger(
    slipway.client,
    // What the trap starts is told to end as well, unless it does not listen.
    script(`set +e; trap "trap '' TERM; rm '${lock}'; exit 1" TERM; : > '${lock}'; sleep ${uniqueSeconds()} & wait`),
  );
  await until('the lock is taken', () => existsSync(lock));
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  expect((await finish(slipway.client, run.id)).state.status).toBe('canceled');
  expect(existsSync(lock)).toBe(false);
});

// actions/runner#4312
test('a cancel that is asked for again and again, of a step that ignores it, is told once and ends', async () => {
  const seconds = uniqueSeconds();
  const run = await trigger(slipway.client, script(`trap '' TERM; sleep ${seconds}; sleep ${seconds}`));
  await until('the step sleeps', () => processesThatAre(`sleep ${seconds}`).length > 0);
  const versions = new Set<number>();
  await until('it has ended', async () => {
    const { status, version } = await slipway.client.runs.cancel.mutate({ runId: run.id });
    if (status === 'canceling') versions.add(version);
    return status === 'canceled';
  });
  expect(versions.size).toBe(1);
  const { lines } = await finish(slipway.client, run.id);
  expect(lines.filter(({ message }) => message.startsWith('canceled by')).length).toBe(1);
  expect(processesWith(`sleep ${seconds}`)).toEqual([]);
});

// temporalio/sdk-go#638
test('a cancel reaches a silent step while Redis does not answer', async () => {
  const seconds = uniqueSeconds();
  const run = await trigger(slipway.client, script(`sleep ${seconds}`));
  await until('the step sleeps', () => processesThatAre(`sleep ${seconds}`).length > 0);
  slipway.signalRedis('SIGSTOP');
  try {
    await slipway.client.runs.cancel.mutate({ runId: run.id });
    await untilStatus(slipway.client, run.id, 'canceled');
    expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  } finally {
    slipway.signalRedis('SIGCONT');
  }
  await finish(slipway.client, run.id);
});

// hatchet-dev/hatchet#4254
test('a server whose queue is dead does not say that all is well', async () => {
  const health = () => slipway.client.system.health.query();
  slipway.signalRedis('SIGSTOP');
  let runId = '';
  let lastFetchAt: string | null = null;
  try {
    await until('it says so', async () => (await health()).redis.status === 'down');
    expect((await health()).status).toBe('degraded');
    ({ lastFetchAt } = await health());
    // It is ready for what it can do: what is triggered now is kept, and says what it waits for.
    expect((await fetch(`${slipway.url}/readyz`)).status).toBe(200);
    ({ id: runId } = await trigger(slipway.client, script('true')));
    await until('the run says so too', async () =>
      (await slipway.client.runs.get.query({ runId })).reason?.includes('redis is unreachable'),
    );
  } finally {
    slipway.signalRedis('SIGCONT');
  }
  expect((await finish(slipway.client, runId)).state.status).toBe('succeeded');
  await until('a worker has asked the queue again', async () => {
    const { status, lastFetchAt: fetchedAt } = await health();
    return status === 'ok' && (fetchedAt ?? '') > (lastFetchAt ?? '');
  });
});

// hatchet-dev/hatchet#552, taskforcesh/bullmq#3463
test('a job whose lock is lost, and that the queue gives out again, runs its step once', async () => {
  const effects = file('effects');
  const gate = file('gate');
  const { id } = await trigger(slipway.client, script(`echo begun >> '${effects}'; ${waitFor(gate)}`));
  await written(effects);
  // As the queue does to a job that it takes for stalled.
  expect(await slipway.askRedis(`DEL ${QUEUE}:${id}:lock`)).toBe(':1');
  expect(await slipway.askRedis(`LREM ${QUEUE}:active 1 ${id}`)).toBe(':1');
  await slipway.askRedis(`RPUSH ${QUEUE}:wait ${id}`);
  await slipway.askRedis(`ZADD ${QUEUE}:marker 0 0`);
  await until('a worker has taken it once more', async () => (await slipway.askRedis(`LLEN ${QUEUE}:wait`)) === ':0');
  writeFileSync(gate, '');
  expect((await finish(slipway.client, id)).state).toMatchObject({ status: 'succeeded', attempt: 1 });
  await until('the queue is done with it', async () => (await jobs()) === 0);
  expect(await slipway.client.runs.get.query({ runId: id })).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(linesOf(effects)).toEqual(['begun']);
});

// taskforcesh/bullmq#3555
test('a retry from a dashboard of the queue runs what failed once more, however often the job was stalled', async () => {
  const effects = file('effects');
  const { run } = await runToEnd(
    slipway.client,
    script(`echo begun >> '${effects}'; [ "$(wc -l < '${effects}')" -ge 2 ]`),
  );
  const isSettled = `SELECT 1 FROM runs WHERE id = '${run.id}' AND settled`;
  await until('its end is settled', async () => (await slipway.askDatabase(isSettled)).length === 1);
  const queue = new Queue('pipelines', { prefix: '{slipway}', connection: slipway.redisAddress });
  try {
    const job = await queue.getJob(run.id);
    expect(await job?.getState()).toBe('failed');
    await slipway.askRedis(`HSET ${QUEUE}:${run.id} stc 100`);
    await job?.retry();
  } finally {
    await queue.close();
  }
  await untilStatus(slipway.client, run.id, 'succeeded');
  expect((await finish(slipway.client, run.id)).state).toMatchObject({ status: 'succeeded', attempt: 2 });
  expect(linesOf(effects)).toEqual(['begun', 'begun']);
});

// triggerdotdev/trigger.dev#1566
test('triggers that come again and again behind a stuck run make no duplicates, and hold up nobody', async () => {
  const gate = file('gate');
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('stuck'),
    definition: script(waitFor(gate)),
  });
  const again = () => slipway.client.pipelines.trigger.mutate({ pipelineId, idempotencyKey: 'nightly' });
  const stuck = await again();
  await untilStatus(slipway.client, stuck.id, 'running');
  const ids = (await Promise.all(Array.from({ length: 100 }, again))).map(({ id }) => id);
  expect(new Set(ids)).toEqual(new Set([stuck.id]));
  await until('its job is the only one', async () => (await jobs()) === 1);
  expect((await runToEnd(slipway.client, script('true'))).state.status).toBe('succeeded');
  writeFileSync(gate, '');
  expect((await finish(slipway.client, stuck.id)).state.status).toBe('succeeded');
});

// hatchet-dev/hatchet PR #4619, argoproj/argo-workflows#13711, osbuild/osbuild-composer PR #4779
describe('a NUL in what goes wrong neither hides a run nor keeps it running', () => {
  async function fails(definition: string | undefined, repository?: string): Promise<string> {
    const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
      name: unique('nul'),
      ...(definition === undefined ? {} : { definition }),
      ...(repository === undefined ? {} : { repository }),
    });
    const run = await slipway.client.pipelines.trigger.mutate({ pipelineId });
    const { state, lines } = await finish(slipway.client, run.id);
    expect(state.status).toBe('failed');
    const listed = await slipway.client.runs.list.query({ pipelineId });
    expect(listed.items.map(({ id, status }) => [id, status])).toEqual([[run.id, 'failed']]);
    const said = JSON.stringify([state, listed, lines]);
    expect(said).not.toContain('\\u0000');
    return said;
  }

  test('printed by the step that fails', async () => {
    expect(await fails(script(`printf 'not\\000found\\n' >&2; exit 1`))).toContain('not\ufffdfound');
  });

  test('in the definition that the repository has', async () => {
    const { url } = new Repository(file('repository'), { '.slipway.yml': 'steps: "a\0b"\n' });
    expect(await fails(undefined, url)).toContain('the text has a NUL character');
  });

  test('said by the server of the repository', async () => {
    const server = createServer((_, response) => {
      response.writeHead(403, { 'content-type': 'text/plain' }).end('go\0away\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      expect(await fails(script('true'), `http://127.0.0.1:${port}/repository.git`)).toContain('403');
    } finally {
      server.close();
    }
  });
});
