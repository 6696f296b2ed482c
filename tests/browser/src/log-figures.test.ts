// How fast the log viewer is on a long log: `make viewer`. Figures beside what they should be, and no test of them: they
// are the machine's as much as ours.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, test } from 'vitest';

import { Installation } from '../../e2e/src/harness/installation.js';
import { launch, Person, sessionOf } from './browser.js';
import { logOf } from './log-page.js';
import { drag, Heap, numbered, scroll } from './long-log.js';

const LINES = Number(process.env['SLIPWAY_LINES']);
const ROUNDS = 5;
const MIB = 1024 * 1024;

/** In the page itself: what the driver takes to look is no part of it. */
async function msUntil(page: Page, line: string): Promise<number> {
  return await page.evaluate(
    (text) =>
      new Promise<number>((done) => {
        const begun = performance.now();
        const look = () => {
          const rows = document.querySelectorAll('.log-row:not([hidden]) .log-text');
          if (Array.from(rows).some((row) => row.textContent === text)) done(performance.now() - begun);
          else requestAnimationFrame(look);
        };
        look();
      }),
    line,
  );
}

const sorted = (values: number[]) => values.toSorted((a, b) => a - b);
const percentile = (values: number[], share: number) =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;
const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;

describe.runIf(Number.isSafeInteger(LINES))(`a log of ${LINES} lines`, () => {
  let slipway: Installation;
  let browser: Browser;

  beforeAll(async () => {
    [slipway, browser] = await Promise.all([Installation.start({ env: { SLIPWAY_LOG_RUN_BYTES_MAX: '4GiB' } }), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await slipway?.stop();
  });

  test('in figures', { timeout: 1_800_000 }, async () => {
    const tell = (what: string, value: string, goal = '') => console.log(`${what.padEnd(44)} ${value.padEnd(40)} ${goal}`);
    const cookie = await sessionOf(slipway.signInLink);
    const begun = performance.now();
    const run = await numbered(slipway, LINES);
    tell('printed, to the end of the run', ms(performance.now() - begun));
    const { pipelineName, number } = await slipway.client.runs.get.query({ runId: run.id });
    const path = `/pipelines/${encodeURIComponent(pipelineName)}/runs/${number}`;
    const opened: number[] = [];
    const ended: number[] = [];
    const searched: number[] = [];
    let page: Page | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      // A person of its own: nothing is in the browser's cache.
      const person = await Person.of(browser, slipway.url);
      await person.signIn(cookie);
      page = await person.context.newPage();
      await page.goto(path, { waitUntil: 'commit' });
      await msUntil(page, '1');
      opened.push(await page.evaluate(() => performance.now()));
      await logOf(page).focus();
      await page.keyboard.press('End');
      ended.push(await msUntil(page, String(LINES)));
      // To a line near the end of the archive, so that nearly all of it is searched.
      const wanted = String(Math.round(LINES * 0.9) + round);
      await page.keyboard.press('/');
      await page.getByRole('searchbox', { name: 'Search the log' }).fill(wanted);
      searched.push(await msUntil(page, wanted));
      if (round < ROUNDS - 1) await person.leave();
    }
    if (page === undefined) return;
    const times = (values: number[]) => `${values.map((value) => value.toFixed(0)).join(', ')} ms`;
    tell('first lines on the screen, since navigation', times(opened), 'goal: 1 s');
    tell('the end, since the key', times(ended), 'goal: 1 s');
    tell('a searched line, since it was typed', times(searched), 'goal: 1 s (250 ms of it wait for more typing)');
    await page.keyboard.press('Escape');
    const heap = await Heap.of(page);
    tell('heap', `${((await heap.bytes()) / MIB).toFixed(1)} MiB`);
    const frames = (what: string, took: number[]) =>
      tell(what, `p50 ${ms(percentile(took, 0.5))}, p95 ${ms(percentile(took, 0.95))}, most ${ms(percentile(took, 1))}`, 'goal: 16.7 ms a frame');
    await logOf(page).focus();
    await page.keyboard.press('Home');
    await msUntil(page, '1');
    frames('scrolling at 3,000 px/s', await scroll(page, 50, 300));
    frames('scrolling at 10,000 px/s', await scroll(page, 167, 300));
    frames('the scrollbar dragged from end to end', await drag(page, 0, 1, 300));
    for (let turn = 0; turn < 10; turn += 1) await drag(page, turn % 2, 1 - (turn % 2), 100);
    tell('heap, after ten times from end to end', `${((await heap.bytes()) / MIB).toFixed(1)} MiB`, 'goal: below 32 MiB');
    await page.context().close();
  });
});
