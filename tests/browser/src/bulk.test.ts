import { join } from 'node:path';

import type { Role } from '@slipway/client';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, unique, waitFor } from '../../e2e/src/harness/runs.js';
import { launch, Person } from './browser.js';

let slipway: Installation;
let browser: Browser;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});

const PASSWORD = 'a long password';

/** Somebody with an account of that role. */
async function signIn(role: Role): Promise<Person> {
  await slipway.client.people.create.mutate({ login: role, password: PASSWORD, role });
  const person = await Person.of(browser, slipway.url);
  const form = { name: role, password: PASSWORD };
  const answer = await person.context.request.post('/sign-in', { form, headers: { origin: slipway.url } });
  expect(answer.ok()).toBe(true);
  return person;
}

const rows = (page: Page) => page.getByRole('list', { name: 'Runs' }).getByRole('listitem');

test('what the filters of a list leave is canceled, retried and deleted at once', async () => {
  const { client } = slipway;
  const never = join(slipway.files, unique('never'));
  await client.pipelines.create.mutate({ name: 'fails', definition: script('exit 1') });
  await client.pipelines.create.mutate({ name: 'waits', definition: script(waitFor(never)) });
  const fails = [];
  for (let n = 0; n < 3; n += 1) fails.push(await client.pipelines.trigger.mutate({ pipelineId: 'fails' }));
  for (const { id } of fails) await finish(client, id);
  for (let n = 0; n < 2; n += 1) await client.pipelines.trigger.mutate({ pipelineId: 'waits' });
  const person = await signIn('admin');
  const page = await person.open('/runs');
  const dialog = page.getByRole('dialog', { name: 'Do something to all of these runs' });
  const ask = () => page.getByRole('button', { name: 'All of these' }).click();

  // Of all five, those that have not ended.
  await ask();
  await dialog.getByText('2 runs; left out: 3 ended.').waitFor();
  await dialog.getByRole('button', { name: 'Cancel 2 runs' }).click();
  await dialog.getByText('All 5 looked at: 2 done, 3 left out.').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await expect.poll(() => rows(page).filter({ hasText: 'canceled' }).count()).toBe(2);

  // In a pipeline's own list, and those that failed alone.
  await page.goto('/pipelines/fails?status=failed');
  await ask();
  await dialog.getByText('failed', { exact: true }).first().waitFor();
  await dialog.getByRole('radio', { name: 'Retry' }).check();
  await dialog.getByRole('button', { name: 'Retry 3 runs' }).click();
  await dialog.getByText('All 3 looked at: 3 done, 0 left out.').waitFor();
  await page.keyboard.press('Escape');
  for (const { id } of fails) await finish(client, id);
  expect((await client.runs.list.query({ pipelineId: 'fails' })).items.map(({ attempt }) => attempt)).toEqual([2, 2, 2]);

  await page.goto('/runs?pipeline=fails');
  await ask();
  await dialog.getByRole('radio', { name: 'Delete' }).check();
  await dialog.getByRole('checkbox').check();
  await dialog.getByRole('button', { name: 'Delete 3 runs' }).click();
  await dialog.getByText('3 done').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('No run fits').waitFor();
  expect((await client.runs.list.query({})).items.map(({ pipelineName }) => pipelineName)).toEqual(['waits', 'waits']);
  await person.leave();
});

test('who only looks is not offered it', async () => {
  const person = await signIn('viewer');
  const page = await person.open('/runs');
  await rows(page).first().waitFor();
  expect(await page.getByRole('button', { name: 'All of these' }).count()).toBe(0);
  await person.leave();
});
