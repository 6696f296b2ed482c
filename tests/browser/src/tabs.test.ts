import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { followLog, type Run } from '../../e2e/src/harness/client.js';
import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, trigger, unique, waitFor } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { launch, Person, PLAIN_HOST, sessionOf } from './browser.js';
import { readThrough, untilShown } from './log-page.js';
import { CountingProxy } from './proxy.js';

const TABS = 10;
const LINES = 200;

let slipway: Installation;
let browser: Browser;
let proxy: CountingProxy;
let person: Person;
let cookie: string;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([
    Installation.start({ env: { SLIPWAY_CONCURRENCY: String(TABS + 2) } }),
    launch(),
  ]);
  cookie = await sessionOf(slipway.signInLink);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});
beforeEach(async () => {
  proxy = await CountingProxy.start(slipway.port);
});
afterEach(async () => {
  await person?.leave();
  await proxy?.stop();
});

async function signIn(host = '127.0.0.1'): Promise<void> {
  const origin = `http://${host}:${proxy.port}`;
  person = await Person.of(browser, origin);
  await person.signIn(cookie);
}

/** Prints half of its lines, and the others once the gate is open. */
async function gated(): Promise<{ run: Run; open: () => void }> {
  const gate = join(slipway.files, unique('gate'));
  const run = await trigger(
    slipway.client,
    script(`seq 1 ${LINES / 2}; ${waitFor(gate)}; seq ${LINES / 2 + 1} ${LINES}`),
  );
  return { run, open: () => writeFileSync(gate, '') };
}

const pathOf = (run: Run) => `/r/${run.id}`;

/** What the server has of the log. */
async function messagesOf(run: Run): Promise<string[]> {
  const lines = await followLog(slipway.client, run.id).done;
  return lines.map(({ message }) => message);
}

const statusOf = (page: Page) => page.getByRole('main').getByRole('status').first();

const streams = (count: number) =>
  until(`there are ${count} streams (${proxy.streams.join(', ')})`, () => proxy.streams.length === count);

describe(`${TABS} tabs, each with the log and the status of its run`, () => {
  test('are live over one connection, another page loads at once, and a restart loses nothing', async () => {
    await signIn();
    const runs = await Promise.all(Array.from({ length: TABS }, gated));
    const pages: [Page, Run][] = [];
    for (const { run } of runs) pages.push([await person.open(pathOf(run)), run]);
    for (const [page] of pages) {
      await untilShown(page, String(LINES / 2));
      await statusOf(page).getByText('running').waitFor();
    }
    await streams(1);
    expect(proxy.streams).toEqual(['/trpc-live']);

    const another = await person.open('/');
    await another.getByRole('heading', { name: 'Pipelines' }).waitFor();
    await another.close();

    person.expectComplaint(/Failed to load resource/);
    await slipway.terminate();
    await streams(0);
    await slipway.startPrograms();
    await streams(1);
    for (const { open } of runs) open();
    for (const [page, run] of pages) {
      await finish(slipway.client, run.id);
      await statusOf(page)
        .getByText(/succeeded|failed/)
        .waitFor();
      const messages = await messagesOf(run);
      expect(await readThrough(page, messages.length)).toEqual(messages);
    }
    // Nobody watches a run any more, but each page hears of changes of lists.
    await streams(1);
  });

  test('keep the connection until the last of them is closed', async () => {
    await signIn();
    const { run, open } = await gated();
    const pages: Page[] = [];
    for (let index = 0; index < 4; index += 1) pages.push(await person.open(pathOf(run)));
    for (const page of pages) await untilShown(page, String(LINES / 2));
    await streams(1);
    const [last, ...others] = pages;
    for (const page of others) await page.close();
    await streams(1);
    open();
    if (last === undefined) return;
    await statusOf(last).getByText('succeeded').waitFor();
    await last.close();
    await streams(0);
  });
});

test('a hidden tab lets its streams go, and takes them up where it was; those that are seen go on', async () => {
  await signIn();
  await person.context.clock.install();
  const { run, open } = await gated();
  const pages = [await person.open(pathOf(run)), await person.open(pathOf(run))] as const;
  for (const page of pages) await untilShown(page, String(LINES / 2));
  const [hidden, seen] = pages;
  await show(hidden, false);
  await streams(1);
  open();
  await statusOf(seen).getByText('succeeded').waitFor();
  expect(await statusOf(hidden).innerText()).toContain('running');
  await show(seen, false);
  await streams(0);
  const messages = await messagesOf(run);
  for (const page of pages) {
    await show(page, true);
    await statusOf(page).getByText('succeeded').waitFor();
    expect(await readThrough(page, messages.length)).toEqual(messages);
  }
  await streams(1);
});

/** Has a page seen, or hidden for longer than it listens: a browser without a screen shows all of them. */
async function show(page: Page, isSeen: boolean): Promise<void> {
  await page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, value: state });
    Object.defineProperty(document, 'hidden', { configurable: true, value: state === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isSeen ? 'visible' : 'hidden');
  if (!isSeen) await page.clock.fastForward('00:31');
}

test('pages of a host that is not this machine share a connection too', async () => {
  await signIn(PLAIN_HOST);
  const { run, open } = await gated();
  const pages: Page[] = [];
  for (let index = 0; index < 3; index += 1) pages.push(await person.open(pathOf(run)));
  expect(await pages[0]?.evaluate(() => window.isSecureContext)).toBe(false);
  for (const page of pages) await untilShown(page, String(LINES / 2));
  await streams(1);
  // There is no lock that tells: they say that they go.
  for (const page of pages) await page.close({ runBeforeUnload: false });
  await streams(0);
  open();
  await finish(slipway.client, run.id);
});

test('a session that ends in one tab is told in all of them', async () => {
  await signIn();
  const { run, open } = await gated();
  const pages: Page[] = [];
  for (let index = 0; index < 3; index += 1) pages.push(await person.open(pathOf(run)));
  for (const page of pages) await untilShown(page, String(LINES / 2));
  await person.context.clearCookies();
  person.expectComplaint(/401/);
  const away = await person.open('/');
  for (const page of [away, ...pages])
    await page.getByRole('alert').getByText('You are not signed in').waitFor();
  await streams(0);
  open();
  await finish(slipway.client, run.id);
});
