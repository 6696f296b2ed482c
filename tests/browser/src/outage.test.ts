import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, trigger, unique } from '../../e2e/src/harness/runs.js';
import { until } from '../../e2e/src/harness/until.js';
import { launch, Person, sessionOf } from './browser.js';
import { logOf, readThrough, untilShown } from './log-page.js';
import { CountingProxy } from './proxy.js';

/** By the clock of the step's lines. */
const OUTAGE_MS = 10_000;

let slipway: Installation;
let browser: Browser;
let proxy: CountingProxy;
let session: string;
let stop: () => void;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  proxy = await CountingProxy.start(slipway.port);
  session = await sessionOf(slipway.signInLink);
});
afterAll(async () => {
  stop?.();
  await browser?.close();
  await proxy?.stop();
  await slipway?.stop();
});

async function visit(): Promise<Person> {
  const person = await Person.of(browser, `http://127.0.0.1:${proxy.port}`);
  await person.signIn(session);
  person.expectComplaint(/Failed to (load resource|fetch)/);
  return person;
}

/** What the page says of its connection. */
const untilConnection = (page: Page, kind: 'live' | 'reconnecting' | 'offline') =>
  page.locator(`[data-connection=${kind}]`).waitFor();

/** How many lines the page knows of. */
const linesOn = async (page: Page) => Number(await page.getByRole('region', { name: 'Log' }).first().getAttribute('data-total'));

test('a log is whole after ten seconds without a network and a server that was killed', async () => {
  const person = await visit();
  const end = join(slipway.files, unique('end'));
  stop = () => writeFileSync(end, '');
  const run = await trigger(
    slipway.client,
    script(`n=0; until [ -e '${end}' ]; do n=$((n + 1)); echo "number $n"; sleep 0.05; done`),
  );
  const page = await person.open(`/r/${run.id}`);
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
  // What it has stays, and ends with a line.
  const rows = await logOf(page).locator('.log-row:not([hidden]) .log-text').allTextContents();
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter((text) => !text.startsWith('number '))).toEqual([]);
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
  // It is the same build as before.
  expect(await page.getByText('A new version').isVisible()).toBe(false);
  await person.leave();
});

test('a page that was not loaded yet waits for the server, and after an upgrade pages offer to be loaded anew', async () => {
  const person = await visit();
  const [page, other] = [await person.open('/settings/appearance'), await person.open('/settings/about')];
  for (const each of [page, other]) await untilConnection(each, 'live');
  const offer = (of: Page) => of.getByText('A new version of Slipway is here');

  await slipway.terminate();
  await untilConnection(other, 'reconnecting');
  await other.getByRole('link', { name: 'Runs' }).first().click();
  await other.getByRole('heading', { name: 'The server does not answer' }).waitFor();
  becomeAnotherBuild();
  await slipway.startPrograms();
  await other.getByRole('heading', { name: 'Runs', exact: true }).waitFor();

  await offer(page).waitFor();
  await untilConnection(page, 'live');
  // Nothing is forced upon anybody.
  await page.getByText('Light').click();
  // Somebody who goes on with the old one comes to what is gone.
  await other.getByRole('link', { name: 'Queues' }).first().click();
  await other.getByRole('heading', { name: 'A new version of Slipway is here' }).waitFor();

  await page.getByRole('button', { name: 'Reload' }).click();
  await untilConnection(page, 'live');
  expect(await offer(page).isVisible()).toBe(false);
  await person.leave();
});

/** As the browser sees it: the first script has another name, and what the old one would load by and by is gone. */
function becomeAnotherBuild(): void {
  const dist = join(import.meta.dirname, '../../../web-client/dist');
  const manifest = JSON.parse(readFileSync(join(dist, 'assets/manifest.json'), 'utf8')) as Record<string, { file: string }>;
  const fileOf = (source: string) => `/${manifest[source]?.file}`;
  const [entry, next] = [fileOf('index.html'), '/assets/index-other.js'];
  const body = readFileSync(join(dist, 'index.html'), 'utf8').replace(entry, next);
  for (const path of ['/', '/settings/appearance']) proxy.answers.set(path, { type: 'text/html', body });
  proxy.answers.set(next, { type: 'text/javascript', body: `import '${entry}';` });
  proxy.answers.set(fileOf('src/pages/queues/QueuesPage.tsx'), undefined);
}
