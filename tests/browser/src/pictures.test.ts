// The pictures of the documents: `make pictures` takes them, and each page is held against them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Run } from '../../e2e/src/harness/client.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish } from '../../e2e/src/harness/runs.js';
import { launch, Person, sessionOf } from './browser.js';
import { exhibit, NOW } from './exhibits.js';
import { logOf } from './log-page.js';
import { difference, keep, RECORD } from './picture.js';

/** For what a page loads that `isThere` does not know of. */
const PATIENCE_MS = 10_000;
const IS_RECORDED = process.env['SLIPWAY_PICTURES'] !== undefined;

interface Subject {
  name: string;
  path: string;
  /** Waits until all of it is there. */
  isThere: (page: Page) => Promise<void>;
  /** What is another each time. */
  changing?: (page: Page) => Locator;
  /** Shows what the server tells of by its own clock. */
  isOfNow?: true;
}

/** The marks beside the log come once it is known where its errors are. */
const atError = async (page: Page) => {
  await logOf(page).getByText('error', { exact: true }).first().waitFor();
  await page.getByRole('button', { name: /^Error in integration/ }).first().waitFor();
  await page.locator('button:not([aria-disabled])', { hasText: 'Retry' }).waitFor();
};

const SUBJECTS: Subject[] = [
  { name: 'pipelines', path: '/pipelines', isThere: (page) => page.getByRole('img', { name: /12 runs/ }).first().waitFor() },
  { name: 'pipeline', path: '/pipelines/web-api', isThere: (page) => page.getByRole('link', { name: /#12/ }).waitFor() },
  {
    name: 'run',
    path: '/pipelines/web-api/runs/12',
    isThere: atError,
  },
  {
    name: 'graph',
    path: '/pipelines/web-api/runs/12?panel=graph',
    isThere: async (page) => {
      await page.getByRole('group').getByRole('button', { name: /integration/ }).first().waitFor();
      if (await logOf(page).isVisible()) await atError(page);
    },
  },
  { name: 'definition', path: '/pipelines/web-api/definition', isThere: (page) => page.getByText('No problems').waitFor() },
  { name: 'trigger', path: '/pipelines/web-api?trigger=1', isThere: (page) => page.getByRole('dialog').waitFor() },
  { name: 'runs', path: '/runs', isThere: (page) => page.getByRole('link', { name: /#12/ }).first().waitFor() },
  {
    name: 'queues',
    path: '/queues',
    isThere: async (page) => {
      await page.getByRole('img', { name: /^Runs a minute/ }).waitFor();
      await page.getByText('workers', { exact: true }).waitFor();
    },
    changing: (page) => page.getByRole('figure'),
    isOfNow: true,
  },
  { name: 'people', path: '/settings/people', isThere: (page) => page.getByRole('link', { name: 'mei' }).waitFor() },
  { name: 'secrets', path: '/settings/secrets', isThere: (page) => page.getByText('REGISTRY_TOKEN').first().waitFor() },
  { name: 'tokens', path: '/settings/tokens', isThere: (page) => page.getByText('ci', { exact: true }).first().waitFor() },
  { name: 'audit', path: '/settings/audit', isThere: (page) => page.getByText('people.create').first().waitFor() },
  { name: 'account', path: '/settings/account', isThere: (page) => page.getByRole('heading', { level: 2 }).first().waitFor() },
  {
    name: 'welcome',
    path: '/welcome',
    isThere: (page) => page.getByRole('textbox', { name: /Definition/ }).waitFor(),
    // The example names the server's port.
    changing: (page) => page.locator('pre'),
  },
];

const SIGN_IN: Subject = { name: 'sign-in', path: '/sign-in', isThere: (page) => page.getByLabel('Password').waitFor() };

/** Once two in a row are the same: what was loaded last has its place then. */
async function still(page: Page): Promise<Buffer> {
  let before: Buffer | undefined;
  for (let turn = 0; turn < 50; turn += 1) {
    const taken = await page.screenshot({ caret: 'hide', animations: 'disabled' });
    if (before?.equals(taken) === true) return taken;
    before = taken;
  }
  throw new Error(`${page.url()} does not come to rest`);
}

/** Light and dark, wide and narrow. Gives what is not as on record. */
async function take(person: Person, { name, path, isThere, changing, isOfNow }: Subject): Promise<string[]> {
  const differences: string[] = [];
  await person.context.clock.setFixedTime(isOfNow ? Date.now() : NOW);
  const page = await person.open(path);
  await page.emulateMedia({ reducedMotion: 'reduce' });
  for (const [size, width, height] of [
    ['wide', 1280, 800],
    ['narrow', 390, 800],
  ] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
      await isThere(page);
      await page.evaluate(() => document.fonts.ready.then(() => undefined));
      const picture = `${name}-${size}-${colorScheme}`;
      const until = Date.now() + (IS_RECORDED ? 0 : PATIENCE_MS);
      for (;;) {
        const taken = await still(page);
        const boxes = await Promise.all(((await changing?.(page).all()) ?? []).map((element) => element.boundingBox()));
        const found = difference(picture, taken, boxes.filter((box) => box !== null));
        if (found === null) break;
        if (Date.now() < until) continue;
        if (IS_RECORDED) writeFileSync(join(RECORD, `${picture}.png`), taken);
        else differences.push(keep(picture, taken, found));
        break;
      }
    }
  }
  await page.close();
  return differences;
}

describe('pictures', () => {
  let slipway: Installation;
  let browser: Browser;
  let session: string;
  let live: Run | undefined;

  beforeAll(async () => {
    mkdirSync(RECORD, { recursive: true });
    [slipway, browser] = await Promise.all([Installation.start(), launch()]);
    session = await sessionOf(slipway.signInLink);
    live = await exhibit(slipway);
  });
  afterAll(async () => {
    await browser?.close();
    if (live !== undefined) {
      await slipway.client.runs.cancel.mutate({ runId: live.id });
      await finish(slipway.client, live.id);
    }
    await slipway?.stop();
  });

  test('of each page, light and dark, wide and narrow, are as those of the documents', async () => {
    const person = await Person.of(browser, slipway.url);
    await person.signIn(session);
    const differences: string[] = [];
    for (const subject of SUBJECTS) differences.push(...(await take(person, subject)));
    await person.context.clearCookies();
    person.expectComplaint(/401/);
    differences.push(...(await take(person, SIGN_IN)));
    await person.leave();
    expect(differences, '`make pictures` records what is meant to differ').toEqual([]);
  });
});
