import { mkdirSync } from 'node:fs';

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { outcome, type Run } from '../../e2e/src/harness/client.js';
import { definition, script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { ask } from '../../e2e/src/board/api.js';
import { fillDeployments } from '../../e2e/src/board/deployments.js';
import { finish, runToEnd, trigger, unique, untilStatus, waitFor } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { card, choose, confirm, edit, openJobForm, press, show, submit } from './board-page.js';
import { launch, Person, sessionOf } from './browser.js';

const SCREENSHOTS = new URL('../../../target/screenshots/', import.meta.url).pathname;

let slipway: Installation;
let browser: Browser;
/** Of whoever signed in by the link that was printed, which is good once. */
let cookie: string;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  cookie = await sessionOf(slipway.signInLink);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});

/** What the database says of a run. */
async function statusOf(run: Run): Promise<string> {
  const rows = await slipway.askDatabase(`SELECT status FROM runs WHERE id = '${run.id}'`);
  return String(rows[0]?.[0]);
}

const becomes = async (run: Run, status: string) =>
  await until(`${run.id} is ${status}`, async () => (await statusOf(run)) === status);

test('people do to runs what they do to jobs in Bull Board', async () => {
  const { client } = slipway;
  const person = await Person.of(browser, slipway.url);
  // Bull Board's own pages do so, where they are left soon.
  person.expectComplaint(/preloaded using link preload but not used/);
  // What the sign-in page is told, to which strangers are led.
  person.expectComplaint(/401/);
  const stranger = await person.open('/admin/queues');
  await stranger.getByRole('heading', { name: 'Sign in' }).waitFor();
  await person.signIn(cookie);

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

/** What a queue's own settings say. */
async function metaOf(queue: string, ...fields: string[]): Promise<string[]> {
  const answer = await slipway.askRedis(`HMGET {slipway}:${queue}:meta ${fields.join(' ')}`);
  // Of each value its length comes before it.
  return answer.split('\r\n').slice(1).filter((line) => line === '$-1' || !line.startsWith('$'));
}

async function countsOf(queue: string): Promise<Record<string, number>> {
  const { body } = await ask(slipway, 'GET', '/queues');
  const { queues } = body as { queues: { name: string; counts: Record<string, number> }[] };
  return queues.find(({ name }) => name === queue)?.counts ?? {};
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0);

test('what is done to a whole queue is done to its runs', async () => {
  const { client } = slipway;
  const person = await Person.of(browser, slipway.url);
  person.expectComplaint(/preloaded using link preload but not used/);
  await person.signIn(cookie);
  const retry = { attempts: 2, delay: '1h' };
  const failing = definition([{ name: 'work', run: 'exit 4' }], { retry });
  const delayed = [await trigger(client, failing), await trigger(client, failing)];
  const [first] = delayed;
  if (first === undefined) throw new Error('there is no run');
  const isDelayed = async (id: string) => (await client.runs.get.query({ runId: id })).nextAttemptAt !== null;
  await until('they wait for their next attempts', async () => (await Promise.all(delayed.map(({ id }) => isDelayed(id)))).every(Boolean));

  // The next attempt is put off, and the run's time with it.
  const page = await person.context.newPage();
  await show(page, 'delayed');
  await press(page, first, 'delayed', 'reschedule');
  const day = new Date(Date.now() + 2 * 24 * 60 * 60 * 1000).toISOString().slice(0, 10);
  await submit(page, 'Save', { runAt: `${day}T12:00` });
  await until('the run has the time', async () => {
    const [[at] = []] = await slipway.askDatabase(`SELECT next_attempt_at FROM runs WHERE id = '${first.id}'`);
    return Number(at) === new Date(`${day}T12:00`).getTime();
  });

  // A duplicate of its job is another run of the same pipeline.
  await openJobForm(page, () => press(page, first, 'delayed', 'duplicate'));
  await edit(page, JSON.stringify({ runId: first.id }));
  await submit(page, 'Duplicate', {});
  const runsOf = async () => (await client.runs.list.query({ pipelineId: first.pipelineId })).items;
  const twin = await until('there is another run', async () => (await runsOf()).find(({ id }) => id !== first.id));
  await until('it waits as well', async () => await isDelayed(twin.id));

  // All of them are tried again now.
  await page.getByRole('button', { name: 'Promote all' }).click();
  await confirm(page);
  for (const run of [...delayed, twin]) await becomes(run, 'failed');

  // One at a time, by all workers together; and so many a minute.
  await choose(page, 'Set concurrency');
  await submit(page, 'Save', { concurrency: '1' });
  await until('it is set', async () => (await metaOf('pipelines', 'concurrency'))[0] === '1');
  const file = `${slipway.files}/${unique('go')}`;
  const held = await trigger(client, script(waitFor(file)));
  await untilStatus(client, held.id, 'running');
  const next = await trigger(client, script('true'));
  await until('its job waits', async () => (await countsOf('pipelines'))['waiting'] === 1);
  expect(await statusOf(next)).toBe('queued');
  await choose(page, 'Set concurrency');
  await submit(page, 'Save', { concurrency: '0' });
  await becomes(next, 'succeeded');
  expect(await statusOf(held)).toBe('running');
  await choose(page, 'Set rate limit');
  await submit(page, 'Save', { max: '1000', duration: '60000' });
  await until('the limit is set', async () => (await metaOf('pipelines', 'max', 'duration')).join() === '1000,60000');
  await choose(page, 'Set rate limit');
  // The form asks the server for what is set, and puts it over what was typed by then.
  await expect.poll(() => page.getByRole('dialog').locator('input[name="duration"]').inputValue()).toBe('60000');
  await submit(page, 'Save', { max: '', duration: '' });
  await until('there is no limit', async () => (await metaOf('pipelines', 'max', 'duration')).join() === '$-1,$-1');

  // The records of what failed go, and the runs stay. None that is younger than five seconds is taken.
  await show(page, 'failed');
  await until('all are old enough', async () => {
    const rows = await slipway.askDatabase("SELECT MAX(finished_at) FROM runs WHERE status = 'failed'");
    return Number(rows[0]?.[0]) + 6_000 < Date.now();
  });
  await page.getByRole('button', { name: 'Clean all' }).click();
  await confirm(page);
  await until('no record is left', async () => (await countsOf('pipelines'))['failed'] === 0);
  for (const run of [...delayed, twin]) expect(await statusOf(run)).toBe('failed');

  // An added job is a run.
  const { id: pipelineId } = await client.pipelines.create.mutate({ name: unique('added'), definition: script('true') });
  await openJobForm(page, () => choose(page, 'Add job'));
  await edit(page, JSON.stringify({ pipelineId, branch: 'main' }));
  await page.screenshot({ path: `${SCREENSHOTS}board-add.png` });
  await submit(page, 'Add', {});
  const added = await until('there is a run', async () => (await client.runs.list.query({ pipelineId })).items[0]);
  expect(added.branch).toBe('main');
  await becomes(added, 'succeeded');

  // All of it goes: what waits is canceled, what a worker has as well, what has ended stays.
  await choose(page, 'Pause');
  await confirm(page);
  await until('it is paused', async () => (await metaOf('pipelines', 'paused'))[0] === '1');
  const waiting = await trigger(client, script('true'));
  await choose(page, 'Obliterate');
  await page.getByText('Force obliterate').click();
  await confirm(page);
  await becomes(waiting, 'canceled');
  await becomes(held, 'canceled');
  expect(await statusOf(added)).toBe('succeeded');
  await until('nothing is left', async () => sum(await countsOf('pipelines')) === 0);
  await runToEnd(client, script('true'));
  await person.leave();
});

test("jobs that are nobody's runs, schedulers, and what is said of the whole", async () => {
  const person = await Person.of(browser, slipway.url);
  person.expectComplaint(/preloaded using link preload but not used/);
  await person.signIn(cookie);
  await fillDeployments(slipway);
  const page = await person.open('/admin/queues/job-schedulers');
  await page.getByRole('button', { name: 'Run now' }).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-schedulers.png` });
  await page.getByRole('button', { name: 'Run now' }).click();
  await confirm(page);
  await until('there is one more job', async () => (await countsOf('deployments'))['waiting'] === 4);
  await page.getByRole('button', { name: 'Remove scheduler' }).click();
  await confirm(page);
  await until('there is no scheduler', async () => (await slipway.askRedis('ZCARD {slipway}:deployments:repeat')) === ':0');

  await page.goto('/admin/queues/queue/deployments/release', { waitUntil: 'load' });
  await page.getByRole('group', { name: 'build, waiting, queue deployments, id build' }).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-flow.png` });
  await show(page, 'waiting-children', 'deployments');
  await press(page, { id: 'release' }, 'waiting-children', 'removeChildren');
  await confirm(page);
  await until('it waits for nothing any more', async () => (await countsOf('deployments'))['waiting-children'] === 0);
  await show(page, 'prioritized', 'deployments');
  await press(page, { id: 'first' }, 'prioritized', 'reprioritise');
  await submit(page, 'Save', { priority: '2' });
  await until('it has its priority', async () => (await slipway.askRedis('HGET {slipway}:deployments:first priority')).endsWith('2'));

  await page.getByRole('button', { name: 'Queue info' }).click();
  await page.getByRole('dialog').getByText('Global concurrency').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.locator('header button:has(img), header button:has(svg[role="img"])').first().click();
  await page.getByRole('dialog').getByText('Memory usage', { exact: true }).waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByPlaceholder('Filter queues').fill('depl');
  await page.getByRole('navigation').getByRole('link', { name: 'pipelines' }).waitFor({ state: 'detached' });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto('/admin/queues/queue/pipelines?status=completed', { waitUntil: 'load' });
    await page.getByText('Throughput').first().waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}board-queue-${colorScheme}.png` });
  }
  await person.leave();
});

test('a viewer looks and changes nothing', async () => {
  const { client } = slipway;
  const { run } = await runToEnd(client, script('exit 3'));
  const who = { login: unique('viewer'), name: 'Vera', password: 'a password that is long' };
  await client.people.create.mutate({ ...who, role: 'viewer' });
  const person = await Person.of(browser, slipway.url);
  person.expectComplaint(/preloaded using link preload but not used/);
  const { context } = person;
  const form = { name: who.login, password: who.password };
  expect((await context.request.post('/sign-in', { form, headers: { origin: slipway.url } })).ok()).toBe(true);
  const page = await person.open('/admin/queues/queue/pipelines?status=failed');
  const link = page.getByRole('link', { name: run.id, exact: true });
  await link.waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}board-viewer.png` });
  for (const name of ['Retry all', 'Clean all']) expect(await page.getByRole('button', { name }).count()).toBe(0);
  // Only what leads back to Slipway.
  expect(await page.locator('button[aria-haspopup="menu"]').count()).toBe(1);
  // And of a job what copies the text that is shown.
  expect(await card(page, run).locator('button:not([role])').count()).toBe(1);
  for (const path of [`pipelines/${run.id}/retry`, `pipelines/${run.id}/clean`, 'pipelines/pause', 'pipelines/retry/failed']) {
    const answer = await context.request.put(`/admin/queues/api/queues/${path}`, { headers: { origin: slipway.url } });
    expect([answer.status(), await answer.json()]).toEqual([405, { error: { key: 'ERRORS.QUEUE_READ_ONLY' } }]);
  }
  expect(await statusOf(run)).toBe('failed');
  expect((await client.runs.get.query({ runId: run.id })).attempt).toBe(1);
  await person.leave();
});
