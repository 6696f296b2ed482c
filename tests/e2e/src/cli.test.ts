import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { freePort } from './harness/ports.js';
import { finish, unique, written } from './harness/runs.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

async function pipelineOf(text: string): Promise<string> {
  return (await slipway.client.pipelines.create.mutate({ name: unique('cli'), definition: text })).name;
}

describe('trigger --follow prints the log and exits with the outcome of the run', () => {
  test('0 when it succeeded', async () => {
    const { code, output } = await slipway.cli(
      'trigger',
      await pipelineOf(script('echo one; echo two')),
      '--follow',
    );
    expect(output).toMatch(/one[^]*two/);
    expect(code).toBe(0);
  });

  test('1 when it failed', async () => {
    const { code, output } = await slipway.cli(
      'trigger',
      await pipelineOf(script('echo alas; exit 9')),
      '--follow',
    );
    expect(output).toContain('alas');
    expect(code).toBe(1);
  });

  test('3 when it was canceled', async () => {
    const begun = join(slipway.files, unique('begun'));
    const name = await pipelineOf(script(`echo begun >> '${begun}'; sleep 1000`));
    const followed = slipway.cli('trigger', name, '--follow');
    await written(begun);
    const { items } = await slipway.client.runs.list.query({ pipelineId: name });
    for (const run of items) {
      await slipway.client.runs.cancel.mutate({ runId: run.id });
      await finish(slipway.client, run.id);
    }
    expect((await followed).code).toBe(3);
  });

  test('4 when it timed out', async () => {
    const name = await pipelineOf(definition([{ name: 'slow', run: 'sleep 1000', timeout: '1s' }]));
    expect((await slipway.cli('trigger', name, '--follow')).code).toBe(4);
  });

  test('1 when there is no such pipeline', async () => {
    const { code, output } = await slipway.cli('trigger', 'no-such-pipeline', '--follow');
    expect(output).toContain('no-such-pipeline');
    expect(code).toBe(1);
  });

  test('2 when it is used wrongly', async () => {
    expect((await slipway.cli('trigger')).code).toBe(2);
  });

  test('5 when no server answers', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const { code, output } = await slipway.cli('trigger', 'any', '--follow', '--url', nobody);
    expect(output).toContain(nobody);
    expect(code).toBe(5);
  });
});

test('logs prints what the run printed, after its end too', async () => {
  const name = await pipelineOf(script('seq 1 50'));
  const run = await slipway.client.pipelines.trigger.mutate({ pipelineId: name });
  await finish(slipway.client, run.id);
  const { code, output } = await slipway.cli('logs', run.id);
  expect(code).toBe(0);
  for (const number of ['1', '25', '50']) expect(output).toMatch(new RegExp(`\\b${number}$`, 'm'));
});
