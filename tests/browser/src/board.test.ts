import { mkdirSync } from 'node:fs';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { outcome, type Run } from '../../e2e/src/harness/client.js';
import { definition, script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, trigger, unique, untilStatus, waitFor } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { launch, Person } from './browser.js';

const SCREENSHOTS = new URL('../../../target/screenshots/', import.meta.url).pathname;

let slipway: Installation;
let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});

/** The buttons of a job, in the order in which the board shows them. */
const BUTTONS = {
  failed: ['retry', 'duplicate', 'update', 'clean'],
  delayed: ['promote', 'reschedule', 'duplicate', 'update', 'clean'],
  completed: ['duplicate', 'retry', 'clean'],
  waiting: ['duplicate', 'update', 'clean'],
} as const;

/** What the database says of a run. */
async function statusOf(run: Run): Promise<string> {
  const rows = await slipway.askDatabase(`SELECT status FROM runs WHERE id = '${run.id}'`);
  return String(rows[0]?.[0]);
}

const becomes = async (run: Run, status: string) =>
  await until(`${run.id} is ${status}`, async () => (await statusOf(run)) === status);

async function show(page: Page, status: keyof typeof BUTTONS | 'active'): Promise<void> {
  await page.goto(`/admin/queues/queue/pipelines?status=${status}`, { waitUntil: 'load' });
}

function card(page: Page, run: Run): Locator {
  const link = page.getByRole('link', { name: run.id, exact: true });
  return link.locator('xpath=ancestor::*[.//button][1]');
}

async function press(page: Page, run: Run, status: keyof typeof BUTTONS, name: string): Promise<void> {
  const order: readonly string[] = BUTTONS[status];
  const buttons = card(page, run).locator('button:not([role])');
  await buttons.nth(order.indexOf(name)).click();
}

async function confirm(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Confirm' }).click();
}

async function choose(page: Page, item: string): Promise<void> {
  await page.locator('main button[aria-haspopup="menu"], button[aria-haspopup="menu"]').last().click();
  await page.getByRole('menuitem', { name: item }).click();
}

test('people do to runs what they do to jobs in Bull Board', async () => {
  const { client } = slipway;
  const person = await Person.of(browser, slipway.url);
  // Bull Board's own pages do so, where they are left soon.
  person.expectComplaint(/preloaded using link preload but not used/);
  // What the sign-in page is told, to which strangers are led.
  person.expectComplaint(/401/);
  const stranger = await person.open('/admin/queues');
  await stranger.getByRole('heading', { name: 'Sign in' }).waitFor();
  await person.open(new URL(slipway.signInLink).pathname);

  const file = `${slipway.files}/${unique('go')}`;
  const retry = { attempts: 2, delay: '1h' };
  const failed = await trigger(client, script('echo lost; exit 3'));
  const succeeded = await trigger(client, script('echo found'));
  for (const run of [failed, succeeded]) await finish(client, run.id);
  const delayed = await trigger(client, definition([{ name: 'work', run: 'exit 4' }], { retry }));
  await until('it waits for its next attempt', async () => (await client.runs.get.query({ runId: delayed.id })).nextAttemptAt !== null);
  const active = await trigger(client, script(waitFor(file)));
  await untilStatus(client, active.id, 'running');

  // The overview, and what is active.
  const page = await person.open('/admin/queues');
  await page.getByRole('link', { name: 'deployments' }).first().waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-overview.png` });
  await show(page, 'active');
  await card(page, active).waitFor();

  // A failed run is tried again, from its job.
  await show(page, 'failed');
  await card(page, failed).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-failed.png` });
  await page.getByRole('tab', { name: 'Logs' }).click();
  await page.getByText('[work] lost').first().waitFor();
  await press(page, failed, 'failed', 'retry');
  await confirm(page);
  await until('it has failed again', async () => {
    const run = await client.runs.get.query({ runId: failed.id });
    return run.attempt === 2 && run.status === 'failed';
  });

  // All failed ones.
  await show(page, 'failed');
  await page.getByRole('button', { name: 'Retry all' }).click();
  await confirm(page);
  await until('it has failed a third time', async () => (await client.runs.get.query({ runId: failed.id })).attempt === 3);
  await becomes(failed, 'failed');

  // The next attempt comes now.
  await show(page, 'delayed');
  await card(page, delayed).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-delayed.png` });
  await press(page, delayed, 'delayed', 'promote');
  await confirm(page);
  await becomes(delayed, 'failed');

  // A succeeded one is tried again from the start, and its record goes without it.
  await show(page, 'completed');
  await press(page, succeeded, 'completed', 'retry');
  await confirm(page);
  await until('it has succeeded again', async () => {
    const run = await client.runs.get.query({ runId: succeeded.id });
    return run.attempt === 2 && run.status === 'succeeded';
  });
  await until('its job is shown again', async () => {
    await show(page, 'completed');
    await card(page, succeeded).waitFor({ timeout: 5_000 });
    return true;
  });
  await press(page, succeeded, 'completed', 'clean');
  await confirm(page);
  await card(page, succeeded).waitFor({ state: 'detached' });
  expect(await statusOf(succeeded)).toBe('succeeded');

  // Paused, runs wait; removed, they are canceled.
  await choose(page, 'Pause');
  await confirm(page);
  await page.getByText('Paused').first().waitFor();
  const waiting = await trigger(client, script('true'));
  const other = await trigger(client, script('true'));
  await show(page, 'waiting');
  await card(page, waiting).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-waiting.png` });
  await press(page, waiting, 'waiting', 'clean');
  await confirm(page);
  await becomes(waiting, 'canceled');
  expect(await statusOf(other)).toBe('queued');
  await choose(page, 'Empty');
  await confirm(page);
  await becomes(other, 'canceled');
  await choose(page, 'Resume');
  await confirm(page);
  await until('it is not paused', async () => (await page.getByText('Paused').count()) === 0);

  // What works is left alone by all of it.
  expect(await statusOf(active)).toBe('running');
  await client.runs.cancel.mutate({ runId: active.id });
  await outcome(client, active.id);

  // A job's own page leads to the run's.
  await page.goto(`/admin/queues/queue/pipelines/${failed.id}?status=failed`, { waitUntil: 'load' });
  const link = page.getByRole('link', { name: 'Run', exact: true }).first();
  expect(await link.getAttribute('href')).toBe(`/r/${failed.id}`);
  await page.screenshot({ path: `${SCREENSHOTS}board-job.png` });
  await person.leave();
});
