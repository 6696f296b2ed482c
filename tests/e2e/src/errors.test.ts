import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { failure, followLog, watch } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { runToEnd, trigger, finish, unique } from './harness/runs.js';
import { until } from './harness/until.js';

const NOBODY = '01890000-0000-7000-8000-000000000000';

let slipway: Installation;
let pipelineId: string;

beforeAll(async () => {
  slipway = await Installation.start();
  const pipeline = await slipway.client.pipelines.create.mutate({
    name: 'plain',
    definition: script('true'),
  });
  pipelineId = pipeline.id;
});
afterAll(async () => await slipway?.stop());

/** A request as no typed client would send it: the status and tRPC's error. */
async function raw(
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; code: string; body: string }> {
  const headers = { authorization: `Bearer ${slipway.adminToken}`, ...init.headers };
  const response = await fetch(`${slipway.url}/trpc/${path}`, { ...init, headers });
  const body = await response.text();
  const parsed: unknown = JSON.parse(body);
  const envelope = (Array.isArray(parsed) ? parsed[0] : parsed) as { error?: { data?: { code?: string } } };
  return { status: response.status, code: envelope.error?.data?.code ?? 'none', body };
}

function post(body: string, contentType = 'application/json'): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': contentType } };
}

describe('what does not exist is NOT_FOUND', () => {
  test('a pipeline', async () => {
    const client = slipway.client;
    for (const call of [
      () => client.pipelines.get.query({ pipelineId: NOBODY }),
      () => client.pipelines.get.query({ pipelineId: 'no-such-name' }),
      () => client.pipelines.trigger.mutate({ pipelineId: NOBODY }),
      () => client.pipelines.delete.mutate({ pipelineId: NOBODY }),
    ]) {
      expect(await failure(call())).toMatchObject({ code: 'NOT_FOUND', status: 404 });
    }
  });

  test('a run, also when it is streamed or watched, which ends the subscription', async () => {
    const client = slipway.client;
    for (const call of [
      () => client.runs.get.query({ runId: NOBODY }),
      () => client.runs.cancel.mutate({ runId: NOBODY }),
      () => client.runs.retry.mutate({ runId: NOBODY }),
      () => client.runs.logs.query({ runId: NOBODY }),
      () => followLog(client, NOBODY).done,
      () => watch(client, NOBODY).done,
    ]) {
      expect((await failure(call())).code).toBe('NOT_FOUND');
    }
  });

  test('a procedure', async () => {
    expect(await raw('pipelines.nothing')).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await raw('pipelines.nothing', post('{}'))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });
});

describe('what is not asked rightly is refused with the right code', () => {
  test('the wrong method', async () => {
    expect(await raw('pipelines.trigger')).toMatchObject({ status: 405, code: 'METHOD_NOT_SUPPORTED' });
    expect(await raw('system.health', { method: 'DELETE', headers: { 'content-type': 'application/json' } })).toMatchObject({
      status: 405,
      code: 'METHOD_NOT_SUPPORTED',
    });
    // A long input does not fit into an address, so POST reaches a query.
    expect(await raw('system.health', post('{}'))).toMatchObject({ status: 200 });
  });

  test('the wrong content type', async () => {
    const request = post(`pipelineId=${pipelineId}`, 'application/x-www-form-urlencoded');
    expect(await raw('pipelines.trigger', request)).toMatchObject({
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
    });
  });

  test('JSON that is none', async () => {
    expect(await raw('pipelines.trigger', post('{"pipelineId":'))).toMatchObject({ status: 400 });
    expect(await raw('runs.get?input=%7B')).toMatchObject({ status: 400 });
  });

  test('a body that is too large', async () => {
    const body = JSON.stringify({ name: 'large', description: 'x'.repeat(32 * 1024 * 1024) });
    expect(await raw('pipelines.create', post(body))).toMatchObject({
      status: 413,
      code: 'PAYLOAD_TOO_LARGE',
    });
  });

  test('a batch of more than a hundred calls', async () => {
    const path = (calls: number) =>
      `${Array.from({ length: calls }, () => 'system.health').join(',')}?batch=1&input=%7B%7D`;
    expect((await raw(path(101))).status).toBeGreaterThanOrEqual(400);
    expect((await raw(path(10))).status).toBe(200);
  });

  test('a field that is not known, or of another kind, is named', async () => {
    const unknown = await raw('pipelines.trigger', post(JSON.stringify({ pipelineId, brunch: 'main' })));
    expect(unknown).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(unknown.body).toContain('brunch');
    const kind = await raw('pipelines.trigger', post(JSON.stringify({ pipelineId, branch: 7 })));
    expect(kind).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(kind.body).toContain('branch');
    const missing = await raw('pipelines.trigger', post('{}'));
    expect(missing).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(missing.body).toContain('pipelineId');
  });

  const names = ['', ' ', 'x'.repeat(10_000), 'a\0b', 'a<b>', '-x', '../x'];
  test.each(names.map((name) => [JSON.stringify(name.slice(0, 20)), name]))(
    'a pipeline named %s',
    async (_, name) => {
      const refused = await failure(
        slipway.client.pipelines.create.mutate({ name, definition: script('true') }),
      );
      expect(refused).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
      expect(refused.message).toContain('name');
    },
  );

  test('a name that is taken', async () => {
    const refused = await failure(
      slipway.client.pipelines.create.mutate({ name: 'plain', definition: script('true') }),
    );
    expect(refused).toMatchObject({ code: 'CONFLICT', status: 409 });
  });

  const branches = [
    '--upload-pack=touch /tmp/x',
    '-x',
    '../..',
    'a..b',
    'a b',
    'a\nb',
    'a\0b',
    'a~1',
    'x'.repeat(10_000),
  ];
  test.each(branches.map((branch) => [JSON.stringify(branch.slice(0, 30)), branch]))(
    'the branch %s',
    async (_, branch) => {
      const refused = await failure(slipway.client.pipelines.trigger.mutate({ pipelineId, branch }));
      expect(refused).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
      expect(refused.message).toContain('branch');
    },
  );

  test('a run that has not ended cannot be retried', async () => {
    const run = await trigger(slipway.client, script('sleep 1000'));
    expect((await failure(slipway.client.runs.retry.mutate({ runId: run.id }))).code).toBe('CONFLICT');
    await slipway.client.runs.cancel.mutate({ runId: run.id });
    await finish(slipway.client, run.id);
  });
});

describe('a definition that cannot be run is refused', () => {
  const broken: [string, string, string][] = [
    [
      'a cycle',
      definition([
        { name: 'a', run: 'x', needs: ['b'] },
        { name: 'b', run: 'x', needs: ['a'] },
      ]),
      'needs',
    ],
    ['a step that needs itself', definition([{ name: 'a', run: 'x', needs: ['a'] }]), 'needs'],
    [
      'two steps of one name',
      definition([
        { name: 'a', run: 'x' },
        { name: 'a', run: 'y' },
      ]),
      'name',
    ],
    ['a need that is no step', definition([{ name: 'a', run: 'x', needs: ['nobody'] }]), 'needs'],
    ['no steps', 'steps: []\n', 'steps'],
    ['a key that is not known', 'steps:\n  - name: a\n    run: x\n    rum: y\n', 'rum'],
    ['text that is no YAML', 'steps: [\n', ''],
  ];
  test.each(broken)('%s', async (_, text, path) => {
    const { problems } = await slipway.client.pipelines.validate.query({ definition: text });
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(problem.line).toBeGreaterThanOrEqual(1);
      expect(problem.column).toBeGreaterThanOrEqual(1);
      expect(problem.message).toBeTruthy();
    }
    expect(problems.map((problem) => problem.path).join(' ')).toContain(path);
    const refused = await failure(
      slipway.client.pipelines.create.mutate({ name: unique('broken'), definition: text }),
    );
    expect(refused).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
  });

  test('line and column of a problem are those of the text', async () => {
    const { problems } = await slipway.client.pipelines.validate.query({
      definition: 'steps:\n  - name: a\n    run: x\n    rum: y\n',
    });
    expect(problems).toEqual([expect.objectContaining({ line: 4, column: 5 })]);
  });

  test('one that is too large', async () => {
    // Beyond what a definition may have, within what a request may have.
    const text = `${script('true')}\n#${'x'.repeat(300 * 1024)}`;
    const refused = await failure(
      slipway.client.pipelines.create.mutate({ name: unique('large'), definition: text }),
    );
    expect(refused).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
  });

  test('and one without a problem is not', async () => {
    const { problems } = await slipway.client.pipelines.validate.query({ definition: script('true') });
    expect(problems).toEqual([]);
  });
});

describe('a repository that gives nothing fails the run, with a reason', () => {
  let locked: Server;
  let silent: TcpServer;
  const sockets = new Set<Socket>();
  const urlOf = (server: Server | TcpServer) =>
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/repository.git`;

  beforeAll(async () => {
    locked = createServer((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    });
    silent = createTcpServer((socket) => {
      sockets.add(socket);
      // Without being read, a socket does not tell that the other side has gone.
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket)).resume();
    });
    for (const server of [locked, silent]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    locked.close();
  });

  test('one that does not exist', async () => {
    const { state } = await runToEnd(slipway.client, script('true'), {
      repository: 'file:///nowhere/at/all',
    });
    expect(state.status).toBe('failed');
    expect(state.error).toBeTruthy();
  });

  test('one that asks for a password, without waiting for somebody to type it', async () => {
    const { state } = await runToEnd(slipway.client, script('true'), { repository: urlOf(locked) });
    expect(state.status).toBe('failed');
    expect(state.error).toBeTruthy();
  });

  test('one that never answers can be canceled', async () => {
    const run = await trigger(slipway.client, script('true'), { repository: urlOf(silent) });
    await until('git has asked', () => sockets.size > 0);
    await slipway.client.runs.cancel.mutate({ runId: run.id });
    expect((await finish(slipway.client, run.id)).state.status).toBe('canceled');
    await until('git is gone', () => sockets.size === 0);
  });

  const urls = ['--upload-pack=touch /tmp/x', '-x', 'ext::sh -c id', 'a\0b', ''];
  test.each(urls.map((url) => [JSON.stringify(url)]))(
    'what is no repository is refused: %s',
    async (text) => {
      const repository = JSON.parse(text) as string;
      const refused = await failure(
        slipway.client.pipelines.create.mutate({ name: unique('odd'), repository }),
      );
      expect(refused).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
      expect(refused.message).toContain('repository');
    },
  );
});
