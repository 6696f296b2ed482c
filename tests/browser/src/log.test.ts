// The log viewer: what is promised of it, on real logs.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Installation } from '../../e2e/src/harness/installation.js';
import { launch, Person } from './browser.js';
import { logOf, untilShown } from './log-page.js';
import { drag, Heap, lineOf, numbered, scroll } from './long-log.js';

const MIB = 1024 * 1024;
/** What the page may hold of a log however long it is, everything else of the page included. */
const HEAP_MAX = 32 * MIB;
/** More than a browser makes an element high, so the scrollbar stands for more than it is. */
const LINES = 420_000;

let slipway: Installation;
let browser: Browser;
let cookie: string;
let person: Person;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  const response = await fetch(slipway.signInLink, { redirect: 'manual' });
  cookie = /slipway_session=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1] ?? '';
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});
beforeEach(async () => {
  person = await Person.of(browser, slipway.url);
  await person.context.addCookies([{ name: 'slipway_session', value: cookie, url: slipway.url }]);
});
afterEach(async () => await person?.leave());

const isSeen = (page: Page, n: number) => expect.poll(() => lineOf(page, n).isVisible()).toBe(true);

/** Where a line lies in the log while the log is scrolled: a line that is written to in each frame makes scrolling slow. */
async function placesWhileScrolled(page: Page, n: number): Promise<string[]> {
  const line = lineOf(page, n);
  const row = await line.evaluateHandle((link) => link.closest<HTMLElement>('[role=listitem]'));
  return await logOf(page).evaluate(async (scroller, watched) => {
    const places = new Set<string>();
    for (let frame = 0; frame < 10; frame += 1) {
      scroller.scrollBy(0, 15);
      await new Promise((done) => requestAnimationFrame(done));
      places.add(watched?.style.transform ?? '');
    }
    return Array.from(places);
  }, row);
}

describe(`a log of ${LINES} lines`, () => {
  test('is read at both ends and at a line that is searched, in memory that does not grow', async () => {
    const run = await numbered(slipway, LINES);
    const page = await person.open(`/r/${run.id}`);
    const heap = await Heap.of(page);
    await untilShown(page, '1');
    expect(await placesWhileScrolled(page, 30)).toHaveLength(1);
    await page.keyboard.press('f');
    await isSeen(page, LINES);
    await page.keyboard.press('/');
    const searched = Math.round(LINES * 0.7) + 1;
    await page.getByRole('searchbox', { name: 'Search the log' }).fill(String(searched));
    await page.getByRole('search').getByRole('status').getByText('1 of 1').waitFor();
    await isSeen(page, searched);
    await untilShown(page, String(searched));
    for (let turn = 0; turn < 2; turn += 1) {
      await drag(page, 0, 1, 10);
      await isSeen(page, LINES);
      await scroll(page, -900, 5);
      await drag(page, 1, 0, 10);
      await isSeen(page, 1);
    }
    expect(await heap.bytes()).toBeLessThan(HEAP_MAX);
  });
});
