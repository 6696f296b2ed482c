import { afterAll, beforeAll, expect, test } from 'vitest';

import { Installation } from './harness/installation.js';
import { until } from './harness/until.js';

type Entry = Awaited<ReturnType<Installation['client']['audit']['list']['query']>>['items'][number];

/** More than a page of any of the ways to read the trail. */
const COUNT = 130;

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
  const names = Array.from({ length: COUNT }, (_, n) => `p${n}`);
  for (const name of names) await slipway.client.pipelines.create.mutate({ name });
});
afterAll(async () => await slipway?.stop());

const parsed = (lines: string) => lines.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);

async function lines(query: string, token = slipway.adminToken): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' };
  return await fetch(`${slipway.url}/api/v1/audit${query}`, { headers });
}

async function paged(): Promise<Entry[]> {
  const entries: Entry[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: Entry[]; nextCursor: string | null } = await slipway.client.audit.list.query({
      action: 'pipelines.create',
      limit: 100,
      ...(cursor === null ? {} : { cursor }),
    });
    entries.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return entries;
}

test('all of it comes as lines, the same as page by page', async () => {
  const expected = await paged();
  expect(expected).toHaveLength(COUNT);
  const response = await lines('?action=pipelines.create');
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
  expect(parsed(await response.text())).toEqual(expected);
  expect(parsed(await (await lines('?action=pipelines.create&limit=3')).text())).toEqual(expected.slice(0, 3));
  const { code, output } = await slipway.cli('audit', '--json', '--action', 'pipelines.create', '--since', '1h');
  expect(code).toBe(0);
  expect(parsed(output)).toEqual(expected);
});

test('what is wrong is said before the first line, and it is for admins alone', async () => {
  const wrong = await lines('?since=yesterday');
  expect([wrong.status, wrong.headers.get('content-type')]).toEqual([400, 'application/problem+json']);
  const { value } = await slipway.client.tokens.create.mutate({ name: 'operator', role: 'operator' });
  expect((await lines('', value)).status).toBe(403);
  expect((await lines('', 'slw_nobody')).status).toBe(401);
});

test('what is older than it keeps is removed, and nothing else', async () => {
  await slipway.terminate();
  // Ids begin with the time: these say 2022.
  await slipway.askDatabase("UPDATE audit SET id = '01800000' || substr(id, 9) WHERE action = 'pipelines.create'", 'SELECT 1');
  await slipway.startPrograms();
  await until('they are gone', async () => (await paged()).length === 0);
  const { items } = await slipway.client.audit.list.query({ action: 'tokens.create' });
  expect(items).toHaveLength(1);
});
