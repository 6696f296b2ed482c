import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, trigger, unique } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { launch, Person } from './browser.js';
import { logOf, readThrough, untilShown } from './log-page.js';
import { CountingProxy } from './proxy.js';

/** By the clock of the step's lines. */
const OUTAGE_MS = 10_000;

let slipway: Installation;
let browser: Browser;
let proxy: CountingProxy;
let stop: () => void;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  proxy = await CountingProxy.start(slipway.port);
});
afterAll(async () => {
  stop?.();
  await browser?.close();
  await proxy?.stop();
  await slipway?.stop();
});

/** What the page says of its connection. */
const untilConnection = (page: Page, kind: 'live' | 'reconnecting' | 'offline') =>
  page.locator(`[data-connection=${kind}]`).waitFor();

/** How many lines the page knows of. */
const linesOn = async (page: Page) => Number(await page.getByRole('region', { name: 'Log' }).first().getAttribute('data-total'));

test('a log is whole after ten seconds without a network and a server that was killed', async () => {
  const person = await Person.of(browser, `http://127.0.0.1:${proxy.port}`);
  person.expectComplaint(/Failed to load resource/);
  const end = join(slipway.files, unique('end'));
  stop = () => writeFileSync(end, '');
  const run = await trigger(
    slipway.client,
    script(`n=0; until [ -e '${end}' ]; do n=$((n + 1)); echo "number $n"; sleep 0.05; done`),
  );
  const { pathname } = new URL(slipway.signInLink);
  const page = await person.open(pathname);
  await page.goto(`/r/${run.id}`);
  await untilShown(page, 'number 20');
  await untilConnection(page, 'live');

  proxy.cut();
  await untilConnection(page, 'reconnecting');
  const had = await linesOn(page);
  // What it had can be read all the while.
  expect((await readThrough(page, had)).length).toBe(had);
  await page.keyboard.press('End');
  await untilConnection(page, 'offline');
  const printed = await until('the step has printed for ten seconds', async () => {
    const { lines } = await slipway.client.runs.get.query({ runId: run.id });
    const { items } = await slipway.client.runs.logs.query({ runId: run.id, from: had, limit: lines - had + 1 });
    const [first, last] = [items[0], items.at(-1)];
    if (first === undefined || last === undefined) return false;
    return Date.parse(last.timestamp) - Date.parse(first.timestamp) >= OUTAGE_MS && lines;
  });
  expect(await linesOn(page)).toBe(had);
  proxy.heal();
  await untilConnection(page, 'live');
  await until('the page has what was printed meanwhile', async () => (await linesOn(page)) >= printed);

  await slipway.kill();
  await untilConnection(page, 'reconnecting');
  expect(await logOf(page).getByText(/^number /).count()).toBeGreaterThan(0);
  await slipway.startPrograms();
  await untilConnection(page, 'live');
  const before = await linesOn(page);
  await until('the page follows again', async () => (await linesOn(page)) > before);

  stop();
  const { lines } = await finish(slipway.client, run.id);
  await page.getByRole('main').getByRole('status').first().getByText('succeeded').waitFor();
  const messages = lines.map(({ message }) => message);
  const numbers = messages.filter((message) => message.startsWith('number '));
  expect(numbers).toEqual(numbers.map((_, index) => `number ${index + 1}`));
  expect(await readThrough(page, messages.length)).toEqual(messages);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download' }).click(),
  ]);
  expect(readFileSync(await download.path(), 'utf8')).toBe(`${messages.join('\n')}\n`);
  await person.leave();
});
