import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  connectPlainly,
  contents,
  followLog,
  followLogPlainly,
  gapsIn,
  printed,
  watch,
} from './harness/client.js';
import { Installation } from './harness/installation.js';
import { Repository } from './harness/repository.js';

const PIPELINE = `
retry: { attempts: 1 }
steps:
  - name: build
    run: |
      echo "building $SLIPWAY_RUN_BRANCH"
      echo "a word on stderr" >&2
      cat greeting.txt
  - name: check
    needs: [build]
    run: for i in 1 2 3; do echo "check $i"; done
`;

let slipway: Installation;
let repository: Repository;

beforeAll(async () => {
  slipway = await Installation.start();
  repository = new Repository(join(slipway.files, 'repository'), {
    '.slipway.yml': PIPELINE,
    'greeting.txt': 'hello from the repository\n',
  });
});
afterAll(async () => await slipway?.stop());

describe('the three calls of the README', () => {
  test('trigger a run of a repository, stream its lines in order and watch it to the end', async () => {
    const trpc = slipway.client;
    const pipeline = await trpc.pipelines.create.mutate({ name: 'readme', repository: repository.url });
    const head = repository.git('rev-parse', 'HEAD');

    const run = await trpc.pipelines.trigger.mutate({ pipelineId: pipeline.id, branch: 'main' });
    expect(run).toMatchObject({ pipelineId: pipeline.id, pipelineName: 'readme', number: 1, branch: 'main' });
    const [lines, states] = await Promise.all([followLog(trpc, run.id).done, watch(trpc, run.id).done]);

    expect(gapsIn(lines)).toEqual([]);
    expect(printed(lines)).toEqual([
      'building main',
      'hello from the repository',
      'check 1',
      'check 2',
      'check 3',
    ]);
    expect(printed(lines, 'stderr')).toEqual(['a word on stderr']);
    for (const line of lines) expect(new Date(line.timestamp).toISOString().slice(0, 4)).toMatch(/^20\d\d$/);

    const last = states.at(-1);
    expect(last).toMatchObject({
      runId: run.id,
      status: 'succeeded',
      progress: 100,
      attempt: 1,
      commit: head,
    });
    expect(last?.steps.map((step) => [step.name, step.status, step.exitCode])).toEqual([
      ['build', 'succeeded', 0],
      ['check', 'succeeded', 0],
    ]);
    expect(last?.lines).toBe(lines.length);
    const versions = states.map((state) => state.version);
    // Under one version only the reason may change, while a run waits long.
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    const progress = states.map((state) => state.progress);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  test('a plain tRPC client is given the same lines, each with its id', async () => {
    const pipeline = await slipway.client.pipelines.get.query({ pipelineId: 'readme' });
    const plain = connectPlainly(slipway.url, slipway.adminToken);
    const run = await plain.pipelines.trigger.mutate({ pipelineId: pipeline.id });
    const plainly = await followLogPlainly(plain, run.id).done;
    expect(contents(plainly)).toEqual(contents(await followLog(slipway.client, run.id).done));
    expect(gapsIn(plainly)).toEqual([]);
  });

  test('a run builds the commit that the branch stands at when it is triggered', async () => {
    const before = repository.git('rev-parse', 'HEAD');
    const after = repository.commit({ 'greeting.txt': 'hello again\n' });
    expect(after).not.toBe(before);
    const pipeline = await slipway.client.pipelines.get.query({ pipelineId: 'readme' });
    const run = await slipway.client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
    const lines = await followLog(slipway.client, run.id).done;
    expect(printed(lines)).toContain('hello again');
    expect((await slipway.client.runs.get.query({ runId: run.id })).commit).toBe(after);
  });
});
