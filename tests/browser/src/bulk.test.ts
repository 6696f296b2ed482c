import { join } from 'node:path';

import type { Role } from '@slipway/client';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { connect, type Client } from '../../e2e/src/harness/client.js';
import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, unique, waitFor } from '../../e2e/src/harness/runs.js';
import { launch, Person, sessionOf } from './browser.js';

let slipway: Installation;
let browser: Browser;
let cookie: string;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  cookie = await sessionOf(slipway.signInLink);
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

test('a list has only the runs of whom and when it is asked for, also as more are made, and so has what is done to all', async () => {
  const { client } = slipway;
  await client.pipelines.create.mutate({ name: 'many', definition: script('true') });
  const { value } = await client.tokens.create.mutate({ name: 'nightly', role: 'operator' });
  const nightly = connect(slipway.url, value);
  const trigger = async (by: Client) => await finish(client, (await by.pipelines.trigger.mutate({ pipelineId: 'many' })).id);
  await trigger(nightly);
  await trigger(client);
  const person = await Person.of(browser, slipway.url);
  await person.signIn(cookie);
  const page = await person.open('/runs?pipeline=many');
  await expect.poll(() => rows(page).count()).toBe(2);

  await page.getByRole('searchbox', { name: 'Triggered by' }).fill('nightly');
  await expect.poll(() => rows(page).count()).toBe(1);
  expect(new URL(page.url()).searchParams.get('by')).toBe('nightly');
  await trigger(client);
  await trigger(nightly);
  await rows(page).filter({ hasText: '#4' }).waitFor();
  expect(await rows(page).allInnerTexts()).toEqual([expect.stringContaining('#4'), expect.stringContaining('#1')]);

  const when = page.getByRole('combobox', { name: 'Triggered' });
  await when.selectOption('Today');
  await expect.poll(() => new URL(page.url()).searchParams.get('period')).toBe('today');
  await expect.poll(() => rows(page).count()).toBe(2);
  await page.getByRole('button', { name: 'All of these' }).click();
  const dialog = page.getByRole('dialog', { name: 'Do something to all of these runs' });
  await dialog.getByText('0 runs; left out: 2 ended.').waitFor();
  await dialog.getByText('nightly', { exact: true }).waitFor();
  await page.keyboard.press('Escape');

  // Of a time before there was anything.
  await when.selectOption('From … to …');
  await page.getByLabel('Before').fill('2020-02-03T04:05');
  await page.getByText('No run fits').waitFor();
  const until = await page.evaluate(() => new Date('2020-02-03T04:05').toISOString());
  expect(new URL(page.url()).searchParams.get('until')?.replaceAll('"', '')).toBe(until);
  await page.reload();
  await page.getByText('No run fits').waitFor();
  expect(await page.getByLabel('Before').inputValue()).toBe('2020-02-03T04:05');
  await page.getByRole('button', { name: 'Clear' }).click();
  expect(new URL(page.url()).search).toBe('');
  await page.getByLabel('Before').waitFor({ state: 'detached' });

  // What this browser has triggered: nothing yet.
  await page.getByRole('button', { name: 'Mine' }).click();
  await page.getByText('No run fits').waitFor();
  const { name } = await page.evaluate(async () => (await fetch('/api/v1/auth/me')).json());
  expect(new URL(page.url()).searchParams.get('by')).toBe(name);
  await page.getByRole('button', { name: 'Mine', pressed: true }).click();
  await expect.poll(() => rows(page).count()).toBeGreaterThan(4);
  await person.leave();
});

test('who may not do it is not offered it, nor is what would be refused', async () => {
  const { client } = slipway;
  const live = await client.pipelines.trigger.mutate({ pipelineId: 'waits' });
  const ended = await client.pipelines.trigger.mutate({ pipelineId: 'many' });
  await finish(client, ended.id);
  const viewer = await signIn('viewer');
  const page = await viewer.open('/runs');
  await rows(page).first().waitFor();
  expect(await page.getByRole('button', { name: 'All of these' }).count()).toBe(0);
  const refused = async (shown: Page, id: string, name: string, reason: string) => {
    await shown.goto(`/r/${id}`);
    const button = shown.getByRole('button', { name, disabled: true });
    await button.waitFor();
    expect(await button.getAttribute('title')).toBe(reason);
  };
  await refused(page, live.id, 'Cancel run', 'Your role does not allow this.');
  await page.keyboard.press('c');
  await refused(page, ended.id, 'Run again', 'Your role does not allow this.');
  await page.goto('/pipelines/many?trigger=1');
  await page.getByRole('button', { name: 'Trigger', disabled: true }).waitFor();
  await rows(page).first().waitFor();
  expect(await page.getByRole('dialog').count()).toBe(0);
  await viewer.leave();
  expect((await client.runs.get.query({ runId: live.id })).status).not.toMatch(/cancel/);

  await client.runs.purgeLog.mutate({ runId: ended.id });
  const admin = await Person.of(browser, slipway.url);
  await admin.signIn(cookie);
  await refused(await admin.open('/runs'), ended.id, 'Run again', 'Its log was purged: trigger a new run.');
  await admin.leave();
  await client.runs.cancel.mutate({ runId: live.id });
});
