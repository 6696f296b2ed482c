// What people complain of where other systems show them logs; docs/guarantees.md names the tests of what is not here.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { contents, followLog, gapsIn, outcome, printed, watch, type Line } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, runToEnd, trigger, unique, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

const file = (name: string) => join(slipway.files, unique(name));

/** What a program without any library is given of a run. */
async function get(of: Installation, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${of.url}/api/v1/runs/${path}`, {
    headers: { authorization: `Bearer ${of.adminToken}`, ...headers },
  });
}

async function download(runId: string): Promise<string> {
  return await (await get(slipway, `${runId}/logs`, { accept: 'text/plain' })).text();
}

// woodpecker-ci/woodpecker#2942
describe('a log that is opened before its run starts does not load for ever', () => {
  test('one request waits, gives every line and ends; who then asks for more is told that there is none', async () => {
    const idle = await Installation.start({ withoutWorkers: true });
    try {
      const { id } = await trigger(idle.client, script('seq 1 3'));
      const opened = await get(idle, `${id}/logs/stream`);
      idle.startWorker();
      const text = await opened.text();
      expect(text).toContain('"message":"3"');
      expect(text.endsWith('event: end\ndata: {}\n\n')).toBe(true);
      const last = /id: (\S+)\n\nevent: end/.exec(text)?.[1] ?? '';
      expect((await get(idle, `${id}/logs/stream`, { 'last-event-id': last })).status).toBe(204);
    } finally {
      await idle.stop();
    }
  });

  test('the log of a run that is canceled in the queue ends without a line', async () => {
    const idle = await Installation.start({ withoutWorkers: true });
    try {
      const { id } = await trigger(idle.client, script('seq 1 3'));
      const log = followLog(idle.client, id);
      await idle.client.runs.cancel.mutate({ runId: id });
      expect(await log.done).toEqual([]);
    } finally {
      await idle.stop();
    }
  });
});

// woodpecker-ci/woodpecker PR #3722
test('the end of a log is there when the status says that the run has ended, not after a reload', async () => {
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('ends'),
    definition: script('seq 1 300; echo "the very end"'),
  });
  const looks = Array.from({ length: 10 }, async () => {
    const run = await slipway.client.pipelines.trigger.mutate({ pipelineId });
    const { lines } = await outcome(slipway.client, run.id);
    const { total, items } = await slipway.client.runs.logs.query({ runId: run.id, from: -1, limit: 1 });
    expect({ total, last: items.at(-1)?.message }).toEqual({ total: lines, last: 'the very end' });
  });
  await Promise.all(looks);
});

// woodpecker-ci/woodpecker#4030
test('a log of 10,000 lines does not cost the database a write per line', async () => {
  const lines = 10_000;
  const written = await countWrittenRows();
  const counted = `i=0; while [ $i -lt ${lines} ]; do echo $i; i=$((i+1)); done`;
  const { state } = await runToEnd(slipway.client, script(counted));
  expect(state.lines).toBe(lines);
  const rows = await written();
  // Its own beginning and end at the least, so that it is known to count.
  expect(rows).toBeGreaterThan(3);
  expect(rows).toBeLessThan(lines / 100);
});

/** From now on has the database count the rows that are written, but for the workers' signs of life. */
async function countWrittenRows(): Promise<() => Promise<number>> {
  const isPostgres = slipway.databaseKind === 'postgres';
  const list = isPostgres
    ? "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    : "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
  const tables = (await slipway.askDatabase(list)).map(([name]) => String(name)).filter((name) => name !== 'workers');
  const events = ['INSERT', 'UPDATE', 'DELETE'];
  const triggers = tables.flatMap((table) =>
    events.map((event) => {
      const begin = `CREATE TRIGGER e2e_${table}_${event} AFTER ${event} ON ${table}`;
      return isPostgres
        ? `${begin} FOR EACH ROW EXECUTE FUNCTION e2e_count()`
        : `${begin} BEGIN UPDATE e2e_written SET last_value = last_value + 1; END`;
    }),
  );
  const counter = isPostgres
    ? [
        'CREATE SEQUENCE e2e_written MINVALUE 0',
        `CREATE FUNCTION e2e_count() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM nextval(''e2e_written''); RETURN NULL; END'`,
      ]
    : ['CREATE TABLE e2e_written AS SELECT 0 AS last_value'];
  await slipway.askDatabase(...counter, ...triggers);
  return async () => Number((await slipway.askDatabase('SELECT last_value FROM e2e_written'))[0]?.[0]);
}

// woodpecker-ci/woodpecker#3790
test('a downloaded log is byte for byte what was printed', async () => {
  const odd = ['', 'tab\there', '\u001b[31mred\u001b[0m', '  kept  ', 'Ünïcödé 日本語 🚀', '\\n "quoted" \\', 'x'.repeat(100_000), ''];
  // Longer than a page of the API.
  const text = Array.from({ length: 1500 }, (_, index) => `${odd[index] ?? index}\n`).join('');
  const path = file('printed');
  writeFileSync(path, text);
  const { run } = await runToEnd(slipway.client, script(`cat '${path}'`));
  expect(await download(run.id)).toBe(text);
});

// gocd/gocd#1196
test('a burst of ten megabytes loses not one line, the first ones included', async () => {
  const count = 20_000;
  const run = await trigger(slipway.client, script(`seq -f '%0500.0f' 1 ${count}`));
  expect((await outcome(slipway.client, run.id)).lines).toBe(count);
  const lines = (await download(run.id)).trimEnd().split('\n');
  expect(lines.length).toBe(count);
  expect(lines.findIndex((line, index) => line !== String(index + 1).padStart(500, '0'))).toBe(-1);
});

// windmill-labs/windmill#10668
describe('a step that hangs does not look like a slow one', () => {
  test('it shows when its last line came', async () => {
    const gate = file('gate');
    const run = await trigger(slipway.client, script(`echo one; ${waitFor(gate)}`));
    const log = followLog(slipway.client, run.id);
    const states = watch(slipway.client, run.id);
    const last = await until('its line is there', () => log.items.find(({ message }) => message === 'one'));
    await until('those who watch are told when it came', () => states.items.at(-1)?.lastLineAt === last.timestamp);
    expect(states.items.at(-1)).toMatchObject({ status: 'running', lines: 1 });
    writeFileSync(gate, '');
    await finish(slipway.client, run.id);
  });

  test('what Python prints comes at once, not in bursts', async () => {
    const gate = file('gate');
    const program = file('program.py');
    writeFileSync(program, `import os, time\nprint("first")\nwhile not os.path.exists("${gate}"): time.sleep(0.05)\n`);
    const run = await trigger(slipway.client, script(`python3 '${program}'`));
    const log = followLog(slipway.client, run.id);
    await until('its line is there while it runs', () => printed(log.items).includes('first'));
    writeFileSync(gate, '');
    expect((await finish(slipway.client, run.id)).state.status).toBe('succeeded');
  });
});

// polyaxon/polyaxon#845
test('clicking to and fro doubles no line and leaves none out', async () => {
  const gate = file('gate');
  const run = await trigger(
    slipway.client,
    script(`i=0; until [ -e '${gate}' ]; do echo $i; i=$((i+1)); sleep 0.01; done`),
  );
  const seen: Line[] = [];
  for (let visit = 0; visit < 20; visit += 1) {
    const shown = followLog(slipway.client, run.id, seen.at(-1)?.n ?? 0);
    await until('something is shown', () => shown.items.length > 0);
    shown.stop();
    seen.push(...shown.items);
  }
  writeFileSync(gate, '');
  seen.push(...(await followLog(slipway.client, run.id, seen.at(-1)?.n ?? 0).done));
  expect(gapsIn(seen)).toEqual([]);
  expect(contents(seen)).toEqual(contents((await finish(slipway.client, run.id)).lines));
});

// triggerdotdev/trigger.dev#1451
test('a run that prints megabytes does not vanish from those who watch it: they are told states, not output', async () => {
  const run = await trigger(slipway.client, script("head -c 4000000 /dev/zero | tr '\\0' x; echo; seq 1 10000"));
  const watched = await get(slipway, `${run.id}/watch`, { accept: 'application/x-ndjson' });
  const states = (await watched.text()).split('\n').filter((line) => line !== '');
  expect(JSON.parse(states.at(-1) ?? '')).toMatchObject({ status: 'succeeded' });
  expect(Math.max(...states.map((state) => state.length))).toBeLessThan(2_000);
});

// triggerdotdev/trigger.dev PR #2162
test('who watches a run again is not shown an older state first', async () => {
  const gate = file('gate');
  const steps = Array.from({ length: 10 }, (_, index) => ({
    name: `step-${index}`,
    run: index === 0 ? waitFor(gate) : 'true',
    needs: index === 0 ? [] : [`step-${index - 1}`],
  }));
  const run = await trigger(slipway.client, definition(steps));
  const versions: number[] = [];
  for (let isOver = false; !isOver; writeFileSync(gate, '')) {
    const visit = watch(slipway.client, run.id);
    const first = await until('a state is shown', () => visit.items[0]);
    visit.stop();
    isOver = first.finishedAt !== null;
    versions.push(...visit.items.map(({ version }) => version));
  }
  expect(versions.length).toBeGreaterThan(1);
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
});
