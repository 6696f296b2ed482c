import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  connect,
  connectPlainly,
  failure,
  followLog,
  followLogPlainly,
  printed,
  type Client,
} from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, runToEnd, unique } from './harness/runs.js';

let slipway: Installation;
let pipelineId: string;
const clients = {} as Record<'viewer' | 'operator' | 'admin', Client>;

beforeAll(async () => {
  slipway = await Installation.start();
  const pipeline = await slipway.client.pipelines.create.mutate({
    name: 'guarded',
    definition: script('echo hello'),
  });
  pipelineId = pipeline.id;
  for (const role of ['viewer', 'operator', 'admin'] as const) {
    const { value } = await slipway.client.tokens.create.mutate({ name: role, role });
    clients[role] = connect(slipway.url, value);
  }
});
afterAll(async () => await slipway?.stop());

describe('without a token that is known, nothing is to be had', () => {
  const tokens: [string, string][] = [
    ['none', ''],
    ['one that nobody gave', 'slipway-of-nobody'],
  ];
  test.each(tokens)('%s', async (_, token) => {
    const client = connect(slipway.url, token);
    for (const call of [
      () => client.pipelines.list.query({}),
      () => client.pipelines.trigger.mutate({ pipelineId }),
      () => client.runs.list.query({}),
    ]) {
      expect(await failure(call())).toMatchObject({ code: 'UNAUTHORIZED', status: 401 });
    }
    const { run } = await runToEnd(slipway.client, script('true'));
    expect((await failure(followLog(client, run.id).done)).code).toBe('UNAUTHORIZED');
    expect((await failure(followLogPlainly(connectPlainly(slipway.url, token), run.id).done)).code).toBe(
      'UNAUTHORIZED',
    );
  });

  test('only health and readiness are public', async () => {
    for (const path of ['/healthz', '/readyz']) {
      expect((await fetch(`${slipway.url}${path}`)).status).toBe(200);
    }
  });
});

describe('a role may do its own and no more', () => {
  test('a viewer reads, and triggers nothing', async () => {
    const viewer = clients.viewer;
    const { run } = await runToEnd(slipway.client, script('echo seen'));
    expect(printed(await followLog(viewer, run.id).done)).toEqual(['seen']);
    expect((await viewer.pipelines.get.query({ pipelineId })).id).toBe(pipelineId);
    for (const call of [
      () => viewer.pipelines.trigger.mutate({ pipelineId }),
      () => viewer.runs.cancel.mutate({ runId: run.id }),
      () => viewer.runs.retry.mutate({ runId: run.id }),
      () => viewer.pipelines.delete.mutate({ pipelineId }),
    ]) {
      expect(await failure(call())).toMatchObject({ code: 'FORBIDDEN', status: 403 });
    }
  });

  test('an operator triggers, under its own name, and changes no pipeline', async () => {
    const run = await clients.operator.pipelines.trigger.mutate({ pipelineId });
    expect(run.trigger).toMatchObject({ kind: 'api', by: 'operator' });
    await finish(clients.operator, run.id);
    for (const call of [
      () => clients.operator.pipelines.create.mutate({ name: unique('mine'), definition: script('true') }),
      () => clients.operator.pipelines.delete.mutate({ pipelineId }),
      () => clients.operator.tokens.create.mutate({ name: unique('token'), role: 'admin' }),
    ]) {
      expect((await failure(call())).code).toBe('FORBIDDEN');
    }
  });

  test('an admin changes pipelines', async () => {
    const made = await clients.admin.pipelines.create.mutate({
      name: unique('made'),
      definition: script('true'),
    });
    const changed = await clients.admin.pipelines.update.mutate({
      pipelineId: made.id,
      description: 'changed',
    });
    expect(changed).toMatchObject({ id: made.id, description: 'changed', definition: made.definition });
    await clients.admin.pipelines.delete.mutate({ pipelineId: made.id });
  });
});

test('a token that is revoked is no longer known', async () => {
  const name = unique('short');
  const { value } = await slipway.client.tokens.create.mutate({ name, role: 'viewer' });
  const client = connect(slipway.url, value);
  expect((await client.pipelines.list.query({})).items.length).toBeGreaterThan(0);
  await slipway.client.tokens.revoke.mutate({ token: name });
  expect((await failure(client.pipelines.list.query({}))).code).toBe('UNAUTHORIZED');
});
