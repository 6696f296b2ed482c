// That the check of every answer against the published schema notices what is wrong: a server that leaves fields out.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { takeFindings } from './harness/published.js';

const state = { runId: '01890a5d-ac96-774b-bcce-b302099a8057' };
const token = { revoked: true };
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? '';
    if (path.includes('watchRun')) {
      response.setHeader('content-type', 'text/event-stream');
      response.end(`event: connected\ndata: {}\n\ndata: ${JSON.stringify(state)}\nid: 1\n\n`);
    } else if (request.headers['trpc-accept'] !== undefined) {
      response.end(`{"0":[[0],[null,0,0]]}\n[0,0,[[{"result":{"data":{}}}]]]\n`);
    } else {
      const answers = [{ result: { data: token } }, { result: { data: {} } }, { error: { message: 'no' } }];
      response.end(JSON.stringify(path.includes('batch') ? answers : answers[1]));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/trpc`;
});
afterAll(() => server.close());

test.each([
  ['alone', 'tokens.revoke', {}, 1, "tokens.revoke: data must have required property 'revoked'"],
  ['in a batch', 'tokens.revoke,tokens.revoke,runs.get?batch=1', {}, 2, 'tokens.revoke: data must have'],
  ['a line', 'tokens.revoke?batch=1', { 'trpc-accept': 'application/jsonl' }, 1, 'tokens.revoke: data must have'],
  ['as an event', 'pipelines.watchRun', {}, 1, "pipelines.watchRun: data must have required property 'number'"],
])('an answer that lacks a field is noticed: %s', async (_, path, headers, count, complaint) => {
  await (await fetch(`${url}/${path}`, { headers })).text();
  const { checked, complaints } = takeFindings();
  expect(checked).toBe(count);
  expect(complaints).toEqual([expect.stringContaining(complaint)]);
});
