// The log viewer: what is promised of it, on real logs.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { Run } from '../../e2e/src/harness/client.js';
import { definition } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, trigger, unique, waitFor } from '../../e2e/src/harness/runs.js';
import { launch, Person, sessionOf } from './browser.js';
import { logOf, untilShown } from './log-page.js';
import { drag, Heap, lineOf, numbered, scroll } from './long-log.js';

const MIB = 1024 * 1024;
/** What the page may hold of a log however long it is, everything else of the page included. */
const HEAP_MAX = 32 * MIB;
/** More than a browser makes an element high, so the scrollbar stands for more than it is. */
const LINES = 420_000;

/** What the first step prints, to the byte. */
const PRINTED = 'a \u001b[31mred\u001b[0m word\n<b>text</b>\n1%\r50%\r100%\n\ttab\u0007 größe\nlast, without an end';
const octal = (text: string) =>
  Array.from(Buffer.from(text), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');

let slipway: Installation;
let failed: Run;
let browser: Browser;
let cookie: string;
let person: Person;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  failed = await trigger(
    slipway.client,
    definition([
      { name: 'print', run: `printf '${octal(PRINTED)}'` },
      {
        name: 'test',
        needs: ['print'],
        run: `seq 1 300; printf '\\033[1;31merror\\033[0m: it broke\\n'; seq 301 600; echo Error: later; exit 3`,
      },
      { name: 'report', needs: ['test'], when: 'always', run: 'seq 601 900; echo "TypeError: no report"; seq 901 999; exit 1' },
      { name: 'clean', needs: ['report'], when: 'always', run: 'echo no error: all is clean; echo "error: a lie"' },
    ]),
  );
  await finish(slipway.client, failed.id);
  cookie = await sessionOf(slipway.signInLink);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});
beforeEach(async () => {
  person = await Person.of(browser, slipway.url);
  await person.signIn(cookie);
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

/** The texts of two lines that are seen, with others between them. */
async function middleLines(page: Page): Promise<[string, string]> {
  const texts = await logOf(page).evaluate((scroller) => {
    const { top, bottom } = scroller.getBoundingClientRect();
    return Array.from(scroller.querySelectorAll('[role=listitem]:not([hidden])'))
      .map((row) => ({ y: row.getBoundingClientRect().top, text: row.querySelector('.log-text')?.textContent ?? '' }))
      .filter(({ y, text }) => y > top + 40 && y < bottom - 60 && /^[0-9]+$/.test(text))
      .sort((a, b) => a.y - b.y)
      .map(({ text }) => text);
  });
  return [texts[2] ?? '', texts.at(-3) ?? ''];
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

describe('a run that failed', () => {
  test('tells the first error of each step, which is where it is opened, and where keys, marks and steps lead', async () => {
    const { steps } = await slipway.client.runs.get.query({ runId: failed.id });
    const message = async (n: number | null) =>
      n === null ? null : (await slipway.client.runs.logs.query({ runId: failed.id, from: n, limit: 1 })).items[0]?.message;
    const errors = await Promise.all(steps.map(async ({ firstErrorLine }) => await message(firstErrorLine)));
    expect(errors).toEqual([null, '\u001b[1;31merror\u001b[0m: it broke', 'TypeError: no report', 'no error: all is clean']);
    const [, broke = 0, report = 0] = steps.map(({ firstErrorLine }) => firstErrorLine ?? 0);

    const page = await person.open(`/r/${failed.id}`);
    await isSeen(page, broke);
    expect(new URL(page.url()).hash).toBe('');
    const isChosen = async (n: number) => {
      await expect.poll(() => new URL(page.url()).hash).toBe(`#L${n}`);
      await isSeen(page, n);
    };
    for (const [key, n] of [['e', broke], ['e', report], ['e', broke], ['E', report]] as const) {
      await page.keyboard.press(key);
      await isChosen(n);
    }
    await page.getByRole('button', { name: `Error in test, line ${broke}` }).click();
    await isChosen(broke);
    await page.getByRole('button', { name: `First error: line ${report}` }).click();
    await isChosen(report);
    // Of a step that went well nothing is an error.
    expect(await page.getByRole('button', { name: /^Error in/ }).count()).toBe(2);
    // On a narrow screen too the marks are seen, whatever the bar above offers.
    await page.setViewportSize({ width: 390, height: 800 });
    await expect.poll(async () => (await logOf(page).boundingBox())?.width).toBe(390);
  });

  test('is searched by an address that says how, and each mark leads to what it marks', async () => {
    const page = await person.open(`/r/${failed.id}`);
    await untilShown(page, '300');
    await page.keyboard.press('/');
    const search = page.getByRole('search');
    const status = search.getByRole('status');
    await page.getByRole('button', { name: 'Match case' }).click();
    await page.getByRole('button', { name: 'Regular expression' }).click();
    await page.getByRole('searchbox', { name: 'Search the log' }).fill('^E[r]+or: (it|later)');
    await status.getByText('1 of 1').waitFor();
    await untilShown(page, 'Error: later');
    const address = page.url();
    await page.close();

    const other = await person.open(address);
    await other.getByRole('search').getByRole('status').getByText('1 of 1').waitFor();
    for (const name of ['Match case', 'Regular expression'])
      expect(await other.getByRole('button', { name }).getAttribute('aria-pressed')).toBe('true');
    await other.getByRole('searchbox', { name: 'Search the log' }).fill('^[0-9]*[05]0$');
    const at = other.getByRole('search').getByRole('status');
    await at.getByText('1 of 19').waitFor();
    const marks = other.locator('.log-hits');
    const { height = 0, width = 0 } = (await marks.boundingBox()) ?? {};
    const { items, total } = await slipway.client.runs.logs.query({ runId: failed.id, from: 900, limit: 200 });
    const n = items.find(({ message }) => message === '950')?.n ?? NaN;
    await marks.click({ position: { x: width / 2, y: (height * n) / total } });
    await at.getByText('19 of 19').waitFor();
    await untilShown(other, '950');
    await expect.poll(() => logOf(other).getByText('950', { exact: true }).isVisible()).toBe(true);
    // Enter behind what was just typed goes to its first line, not on among those of before.
    const told = await at.evaluateHandle((element) => {
      const texts: string[] = [];
      new MutationObserver(() => texts.push(element.textContent ?? '')).observe(element, {
        ...{ childList: true, characterData: true, subtree: true },
      });
      return texts;
    });
    const box = other.getByRole('searchbox', { name: 'Search the log' });
    await box.evaluate(async (element: HTMLInputElement) => {
      element.select();
      document.execCommand('insertText', false, '^[0-9]*70$');
      await new Promise((done) => setTimeout(done));
      element.form?.requestSubmit();
    });
    await at.getByText('1 of 10').waitFor();
    expect(await told.jsonValue()).not.toContain('1 of 19');
    await other.keyboard.press('Escape');
    await other.getByRole('search').waitFor({ state: 'detached' });
    expect(new URL(other.url()).search).toBe('');
  });

  test('gives its log away to the byte: what is copied, what is chosen, and what is downloaded', async () => {
    await person.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await person.open(`/r/${failed.id}#L2-L6`);
    await page.getByRole('button', { name: 'Copy 5 lines' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    const copied = PRINTED.split('\n').slice(1);
    expect(await clipboard()).toBe([...copied, '1', ''].join('\n'));
    // What is chosen by hand, of rows that showed other lines before.
    await page.getByRole('button', { name: 'Fold all' }).click();
    await page.getByRole('button', { name: 'Unfold all' }).waitFor();
    await page.evaluate(() => {
      location.hash = '#L402-L404';
    });
    // Whoever is led to lines that are folded away sees them.
    await expect.poll(() => logOf(page).locator('.is-chosen .log-text').allInnerTexts()).toEqual(['396', '397', '398']);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Fold all' }).click();
    await page.getByRole('button', { name: 'Unfold all' }).click();
    await scroll(page, -700, 12);
    await scroll(page, 700, 12);
    await scroll(page, -150, 5);
    const box = async (text: string) => {
      const found = await logOf(page).getByText(text, { exact: true }).boundingBox();
      if (found === null) throw new Error(`${text} is not seen`);
      return found;
    };
    const [first, last] = await middleLines(page);
    const [from, to] = [await box(first), await box(last)];
    await page.mouse.move(from.x + 1, from.y + 10);
    await page.mouse.down();
    await page.mouse.move(to.x + 200, to.y + 10, { steps: 5 });
    await page.mouse.up();
    await page.keyboard.press('ControlOrMeta+c');
    const [begin, end] = [Number(first), Number(last)];
    expect(await clipboard()).toBe(Array.from({ length: end - begin + 1 }, (_, index) => String(begin + index)).join('\n'));
    const arrives = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const path = await (await arrives).path();
    const stored = await fetch(`${slipway.url}/api/v1/runs/${failed.id}/logs`, {
      headers: { accept: 'text/plain', authorization: `Bearer ${slipway.adminToken}` },
    });
    const kept = readFileSync(path);
    expect(kept.equals(Buffer.from(await stored.arrayBuffer()))).toBe(true);
    expect(kept.includes(Buffer.from(`${PRINTED}\n`))).toBe(true);
  });
});

describe('a run that goes on', () => {
  test('is followed until somebody looks elsewhere, and says for how long nothing came', async () => {
    const gates = [unique('gate'), unique('gate')].map((name) => join(slipway.files, name));
    const run = await trigger(
      slipway.client,
      definition([{ name: 'work', run: `seq 1 200; ${waitFor(gates[0] ?? '')}; seq 201 300; ${waitFor(gates[1] ?? '')}` }]),
    );
    const page = await person.context.newPage();
    await page.clock.install();
    await page.goto(`/r/${run.id}`);
    await isSeen(page, 200);
    const follow = page.getByRole('button', { name: 'Follow' });
    const isFollowing = (so: string) => expect.poll(() => follow.getAttribute('aria-pressed')).toBe(so);
    await isFollowing('true');
    await logOf(page).hover();
    await page.mouse.wheel(0, -1_000);
    await isFollowing('false');
    const top = await logOf(page).evaluate((scroller) => scroller.scrollTop);
    writeFileSync(gates[0] ?? '', '');
    await page.getByRole('button', { name: '100 new lines' }).waitFor();
    expect(await logOf(page).evaluate((scroller) => scroller.scrollTop)).toBe(top);
    await page.getByRole('button', { name: '100 new lines' }).click();
    await isSeen(page, 300);
    await isFollowing('true');
    await page.clock.fastForward(4 * 60_000);
    await page.getByText(/last line 4 min\.? ago, still running/).waitFor();
    writeFileSync(gates[1] ?? '', '');
    await finish(slipway.client, run.id);
  });
});
