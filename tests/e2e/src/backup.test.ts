import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';

import { connect, contents, followLog, gapsIn, printed, type Line } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, linesOf, runToEnd, trigger, unique, untilStatus, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

// Backups are of the embedded default; `upgrades.test.ts` has what the others are told.
describe.runIf(inject('database') === 'sqlite')('a backup', () => {
  let slipway: Installation;
  let restored: Installation | undefined;
  beforeEach(async () => {
    slipway = await Installation.start({ env: { SLIPWAY_CONCURRENCY: '3' } });
  });
  afterEach(async () => {
    await restored?.stop();
    restored = undefined;
    await slipway.stop();
  });

  const file = (name: string) => join(slipway.files, name);

  /** Another machine that begins with the backup. */
  async function restore(backup: string): Promise<Installation> {
    return await Installation.start({
      // Its steps go on with the files of the first one.
      env: { SLIPWAY_EXECUTOR_WRITABLE: slipway.files },
      prepare: async (dataDir) => {
        const { code, output } = await slipway.operate('restore', backup, '--data-dir', dataDir);
        expect(output).toContain(dataDir);
        expect(code).toBe(0);
      },
    });
  }

  test('amid load is restored elsewhere: what has ended is there line by line, and all the rest comes to its end', async () => {
    const ended: { id: string; lines: Line[] }[] = [];
    for (const text of ['seq 1 500', 'printf "ä\\n\\001\\n\\n"; echo last', 'echo alas; exit 3']) {
      const { run, lines } = await runToEnd(slipway.client, script(text));
      ended.push({ id: run.id, lines });
    }
    const token = await slipway.client.tokens.create.mutate({ name: unique('ci'), role: 'operator' });

    // Steps tell the two installations apart by the directory that they run in.
    const effects = file('effects');
    const chatty = await trigger(
      slipway.client,
      definition([
        { name: 'done', run: `pwd >> '${effects}'; seq 1 50` },
        { name: 'open', needs: ['done'], run: `seq 51 100; echo 1 >> '${file('reached')}'; ${waitFor(file('gate'))}; seq 101 150` },
      ]),
    );
    const again = await trigger(
      slipway.client,
      definition(
        [
          { name: 'one', run: 'echo made > made' },
          { name: 'two', needs: ['one'], run: `cat made; [ -e '${file('gate')}' ]` },
        ],
        { retry: { attempts: 2, delay: '10m' } },
      ),
    );
    await written(file('reached'));
    await untilStatus(slipway.client, again.id, 'queued');
    const blocker = script(`echo 1 >> '${file('blocked')}'; ${waitFor(file('gate'))}`);
    const blockers = [await trigger(slipway.client, blocker), await trigger(slipway.client, blocker)];
    await written(file('blocked'), 2);
    const queued = await trigger(slipway.client, script('echo queued'));

    const backup = file('backup.tar.zst');
    const { code, output } = await slipway.operate('backup', '--to', backup, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ file: backup, runs: 8, incompleteLogs: [] });
    const later = await trigger(slipway.client, script('echo later'));
    writeFileSync(file('gate'), '');
    for (const run of [chatty, ...blockers, queued, later]) await finish(slipway.client, run.id);

    restored = await restore(backup);
    const { client } = restored;
    for (const { id, lines } of ended) {
      expect(contents((await finish(client, id)).lines)).toEqual(contents(lines));
    }
    expect((await finish(client, queued.id)).state).toMatchObject({ status: 'succeeded', attempt: 1 });
    for (const run of blockers) expect((await finish(client, run.id)).state.status).toBe('succeeded');

    // What the backup has of its log is there, it begins again, and the log says why.
    const { state, lines } = await finish(client, chatty.id);
    expect(state).toMatchObject({ status: 'succeeded', attempt: 1 });
    expect(state.steps.map((step) => step.attempt)).toEqual([2, 2]);
    const all = (to: number) => Array.from({ length: to }, (_, index) => String(index + 1));
    expect(printed(lines)).toEqual([...all(100), ...all(150)]);
    expect(lines.some((line) => line.stream === 'system' && /starts again/.test(line.message))).toBe(true);
    expect(new Set(linesOf(effects)).size).toBe(2);

    // Its workspace stayed behind, so the step that had succeeded is run again too.
    const retried = await finish(client, again.id);
    expect(retried.state).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(printed(retried.lines)).toEqual(['made', 'made']);

    const byToken = connect(restored.url, token.value);
    expect((await byToken.runs.get.query({ runId: queued.id })).status).toBe('succeeded');
    await expect(byToken.runs.get.query({ runId: later.id })).rejects.toThrow(/not found/);
    expect(readdirSync(join(restored.dataDir, 'objects', 'logs'))).not.toContain(later.id);
  });

  test('of an installation that does not run has the lines that only Redis has', async () => {
    const run = await trigger(
      slipway.client,
      script(`seq 1 100; echo 1 >> '${file('reached')}'; ${waitFor(file('gate'))}`),
    );
    await written(file('reached'));
    const { lines } = await linesSoFar(run.id, 100);
    await slipway.terminate();
    const backup = file('backup.tar.zst');
    expect((await slipway.operate('backup', '--to', backup)).code).toBe(0);
    writeFileSync(file('gate'), '');
    restored = await restore(backup);
    const after = await finish(restored.client, run.id);
    expect(after.state.status).toBe('succeeded');
    expect(contents(after.lines.slice(0, lines.length))).toEqual(contents(lines));
    await slipway.startPrograms();
    await finish(slipway.client, run.id);
  });

  /** The first lines of a run that goes on. */
  async function linesSoFar(runId: string, count: number): Promise<{ lines: Line[] }> {
    const stream = followLog(slipway.client, runId);
    await until(`${count} lines are there`, () => printed(stream.items).length >= count);
    stream.stop();
    expect(gapsIn(stream.items)).toEqual([]);
    return { lines: [...stream.items] };
  }
});
