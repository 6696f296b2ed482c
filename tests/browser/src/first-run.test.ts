import { join } from 'node:path';

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Installation } from '../../e2e/src/harness/installation.js';
import { launch, Person } from './browser.js';
import { untilShown } from './log-page.js';

/** To be looked at with `npx playwright show-trace`. */
const RECORD = join(import.meta.dirname, '../../../target/first-run.zip');

const MINUTE_MS = 60_000;

let browser: Browser;
let slipway: Installation | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});

test('from nothing to a run that went well it is one click, and less than a minute', async () => {
  const begun = Date.now();
  slipway = await Installation.start();
  const person = await Person.of(browser, slipway.url);
  const done: string[] = [];
  // What the browser itself says that somebody did, so that nothing is done behind the page's back.
  await person.context.exposeBinding('tellDone', (_, deed: string) => done.push(deed));
  await person.context.addInitScript(() => {
    const { tellDone } = window as unknown as { tellDone: (deed: string) => void };
    for (const kind of ['click', 'keydown'] as const)
      addEventListener(kind, ({ type, isTrusted }) => isTrusted && tellDone(type), { capture: true });
  });
  await person.context.tracing.start({ screenshots: true, snapshots: true });

  const page = await person.open(new URL(slipway.signInLink).pathname);
  await page.getByRole('heading', { name: 'Make your first run' }).waitFor();
  await page.getByRole('button', { name: 'Run it' }).click();
  await untilShown(page, 'line 3');
  await page.getByRole('main').getByRole('status').first().getByText('succeeded').waitFor();

  const took = Date.now() - begun;
  await person.context.tracing.stop({ path: RECORD });
  console.log(`the first run was green after ${(took / 1000).toFixed(1)} s: ${done.join(', ')}`);
  expect(done).toEqual(['click']);
  expect(took).toBeLessThan(MINUTE_MS);
  await person.leave();
});
