import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { ask } from '../../e2e/src/board/api.js';
import { script } from '../../e2e/src/harness/definition.js';
import type { Run } from '../../e2e/src/harness/client.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish, unique, waitFor } from '../../e2e/src/harness/runs.js';
import { faults, isTooWide } from './axe.js';
import { launch, Person, sessionOf } from './browser.js';
import { logOf, readThrough, untilShown } from './log-page.js';

const STEPS = `steps:
  - name: build
    run: printf 'a \\033[31mred\\033[0m word\\n'; echo '<b>text</b>'; printf '1%%\\r50%%\\r100%%\\n'
  - name: test
    needs: [build]
    run: 'seq 1 400; echo broken >&2; exit 3'
  - name: deploy
    needs: [test]
    run: 'true'
`;

let slipway: Installation;
let browser: Browser;
let cookie: string;
let person: Person;
let failed: Run;
let live: Run;
let open: () => void;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  cookie = await sessionOf(slipway.signInLink);
  const gate = join(slipway.files, unique('gate'));
  open = () => writeFileSync(gate, '');
  const { client } = slipway;
  await client.pipelines.create.mutate({ name: 'team/site', definition: STEPS, description: 'The site.' });
  await client.pipelines.create.mutate({ name: 'waits', definition: script(`echo begun; ${waitFor(gate)}; echo ended`) });
  await client.tokens.create.mutate({ name: 'ci', role: 'operator', expiresInDays: 30 });
  const grants = [{ pipelineId: (await client.pipelines.get.query({ pipelineId: 'team/site' })).id, role: 'operator' as const }];
  await client.people.create.mutate({ login: 'zoe', role: null, grants, password: 'a long password' });
  for (const pipelineId of ['team/site', null])
    await client.secrets.set.mutate({ name: 'DEPLOY_TOKEN', pipelineId, value: 'of nobody', branches: ['release/*'] });
  failed = await client.pipelines.trigger.mutate({ pipelineId: 'team/site', branch: 'main', inputs: { A: 'b' } });
  await finish(client, failed.id);
  live = await client.pipelines.trigger.mutate({ pipelineId: 'waits' });
});
afterAll(async () => {
  open?.();
  await browser?.close();
  await slipway?.stop();
});
beforeEach(async () => {
  person = await Person.of(browser, slipway.url);
  await person.signIn(cookie);
});
afterEach(async () => await person?.leave());

const run = '/pipelines/team%2Fsite/runs/1';
const pages: [string, string, (page: Page) => Promise<void>][] = [
  ['the pipelines', '/pipelines', (page) => page.getByRole('link', { name: 'team/site' }).waitFor()],
  ['a pipeline', '/pipelines/team%2Fsite', (page) => page.getByRole('link', { name: /#1, failed/ }).waitFor()],
  ['its trigger dialog', '/pipelines/team%2Fsite?trigger=1', (page) => page.getByRole('dialog').waitFor()],
  ['its definition', '/pipelines/team%2Fsite/definition', (page) => page.getByText('No problems').waitFor()],
  ['its settings', '/pipelines/team%2Fsite/settings', (page) => page.getByRole('cell', { name: 'DEPLOY_TOKEN', exact: true }).waitFor()],
  ['the runs', '/runs', (page) => page.getByRole('link', { name: /#1, failed/ }).waitFor()],
  ['the runs of a time', '/runs?by=nobody&since=2026-11-25T12:00:00Z', (page) => page.getByText('No run fits').waitFor()],
  ['a run', run, (page) => untilShown(page, 'broken')],
  ['its lines', `${run}#L3-L5`, (page) => page.getByRole('button', { name: 'Copy 3 lines' }).waitFor()],
  ['its timeline', `${run}?panel=timeline`, (page) => page.getByRole('heading', { name: '#1' }).waitFor()],
  ['its graph', `${run}?panel=graph`, (page) => page.getByRole('heading', { name: '#1' }).waitFor()],
  ['its details', `${run}?panel=details`, (page) => page.getByRole('heading', { name: '#1' }).waitFor()],
  ['the queues', '/queues', (page) => page.getByText('workers', { exact: true }).waitFor()],
  ['the tokens', '/settings/tokens', (page) => page.getByRole('cell', { name: 'ci', exact: true }).waitFor()],
  ['the account', '/settings/account', (page) => page.getByText('No account is behind this browser').waitFor()],
  ['the people', '/settings/people', (page) => page.getByRole('cell', { name: 'zoe', exact: true }).waitFor()],
  ['somebody new', '/settings/people?create=1', (page) => page.getByRole('dialog').waitFor()],
  ['a person', '/settings/people/zoe', (page) => page.getByRole('combobox', { name: 'Role in team/site' }).waitFor()],
  ['the secrets', '/settings/secrets', (page) => page.getByRole('cell', { name: 'DEPLOY_TOKEN', exact: true }).waitFor()],
  ['the audit trail', '/settings/audit', (page) => page.getByRole('link', { name: 'secrets.set' }).first().waitFor()],
  ['the appearance', '/settings/appearance', (page) => page.getByText('Light').waitFor()],
  ['about', '/settings/about', (page) => page.getByText('Version').waitFor()],
  ['the first run', '/welcome', (page) => page.getByRole('textbox', { name: /Definition/ }).waitFor()],
  ['nothing', '/nothing', (page) => page.getByText('no such page').waitFor()],
];

describe('for everyone: axe finds nothing, and nothing is cut off', () => {
  test.each(pages)('%s', async (_, path, isThere) => {
    const page = await person.open(path);
    // The two contrasts on the two layouts: what is wrong depends on one of them, not on which they are together.
    for (const [width, colorScheme] of [[1280, 'light'], [360, 'dark']] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await isThere(page);
      expect(await faults(page), `${width} ${colorScheme}`).toEqual([]);
      expect(await isTooWide(page), `${width}`).toBe(false);
    }
  });
});

/** Code, looks and fonts, compressed as they are sent. */
const FIRST_LOAD_BYTES_MAX = 200_000;

test.each<[string, (page: Page) => Promise<void>]>([
  ['/pipelines', (page) => page.getByRole('link', { name: 'team/site' }).waitFor()],
  ['/runs', (page) => page.getByRole('link', { name: /#1, failed/ }).waitFor()],
  ['/pipelines/waits/runs/1', (page) => untilShown(page, 'begun')],
  ['/queues', (page) => page.getByText('workers', { exact: true }).waitFor()],
])('a first visit of %s loads no more than it may', async (path, isThere) => {
  const page = await person.open(path);
  await isThere(page);
  const loaded = await page.evaluate(() =>
    performance.getEntriesByType('resource').flatMap((entry) => {
      const isCode = entry instanceof PerformanceResourceTiming && /\.(js|css|woff2)$/.test(entry.name);
      return isCode ? [{ name: entry.name, bytes: entry.encodedBodySize }] : [];
    }),
  );
  expect(loaded.length).toBeGreaterThan(3);
  const bytes = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(bytes, JSON.stringify(loaded)).toBeLessThan(FIRST_LOAD_BYTES_MAX);
});

describe('a run', () => {
  test('that failed is opened where it failed, and has each line as it was printed', async () => {
    const page = await person.open(`/r/${failed.id}`);
    await untilShown(page, 'broken');
    expect(new URL(page.url()).pathname).toBe(run);
    await expect.poll(() => logOf(page).getByText('broken', { exact: true }).isVisible()).toBe(true);
    const { lines } = await finish(slipway.client, failed.id);
    const shown = lines.map(({ message }) => message.replace(/\x1b\[[0-9;]*m/g, '').replace(/^[^]*\r/, ''));
    expect(await readThrough(page, lines.length)).toEqual(shown);
  });

  test('whose log is searched is read match by match, and the address says for what', async () => {
    const page = await person.open(`/r/${failed.id}`);
    await untilShown(page, 'broken');
    await page.keyboard.press('/');
    await page.getByRole('searchbox', { name: 'Search the log' }).fill('39');
    const at = page.getByRole('search').getByRole('status');
    await at.getByText(/^1 of \d+$/).waitFor();
    const count = Number((await at.innerText()).split(' of ')[1]);
    expect(count).toBeGreaterThanOrEqual(14);
    await expect.poll(() => logOf(page).getByText('39', { exact: true }).isVisible()).toBe(true);
    await page.keyboard.press('Shift+Enter');
    await at.getByText(`${count} of ${count}`).waitFor();
    await expect.poll(() => logOf(page).getByText('399', { exact: true }).isVisible()).toBe(true);
    expect(new URL(page.url()).searchParams.get('q')).toMatch(/^"?39"?$/);
    expect(await faults(page)).toEqual([]);
    await page.getByRole('button', { name: 'Regular expression' }).click();
    await page.getByRole('searchbox', { name: 'Search the log' }).fill('^1.9$');
    await expect.poll(() => logOf(page).getByText('109', { exact: true }).isVisible()).toBe(true);
    await page.getByRole('searchbox', { name: 'Search the log' }).fill('(');
    await at.getByText(/regex/).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('search').waitFor({ state: 'detached' });
    expect(new URL(page.url()).search).toBe('');
  });

  test('whose scrollbar is dragged from end to end shows what lies at each end', async () => {
    const page = await person.open(`/r/${failed.id}`);
    const log = logOf(page);
    await untilShown(page, 'broken');
    const drag = (from: number, to: number) =>
      log.evaluate(
        async (scroller, [start, end]) => {
          for (let step = 0; step <= 10; step += 1) {
            const share = start + ((end - start) * step) / 10;
            scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * share;
            await new Promise((done) => requestAnimationFrame(done));
          }
        },
        [from, to] as const,
      );
    const { lines } = await finish(slipway.client, failed.id);
    const line = (n: number) => log.getByRole('link', { name: `Line ${n}`, exact: true });
    await drag(0, 1);
    await expect.poll(() => line(lines.length).isVisible()).toBe(true);
    await drag(1, 0);
    await expect.poll(() => line(1).isVisible()).toBe(true);
  });

  test('is followed to its end, and triggered, opened and read with the keyboard alone', async () => {
    const page = await person.open('/pipelines/waits');
    await page.getByRole('link', { name: /#1, running/ }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await untilShown(page, 'begun');
    open();
    await untilShown(page, 'ended');
    await page.getByRole('main').getByText('succeeded').first().waitFor();
    await page.keyboard.press('R');
    await page.getByText('attempt 2').first().waitFor();
    await finish(slipway.client, live.id);
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    await page.getByRole('heading', { name: 'Pipelines' }).waitFor();
  });
});

test('the pipelines tell how they have fared, by one question for all of them', async () => {
  const page = await person.context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(...new URL(request.url()).pathname.replace('/trpc/', '').split(',')));
  await page.goto('/pipelines');
  const row = page.getByRole('listitem').filter({ hasText: 'team/site' });
  await row.getByText(/^#1 failed · main · /).waitFor();
  await row.getByRole('img', { name: 'Last 1 runs: 1 failed' }).first().waitFor();
  await row.getByText('0 %').waitFor();
  expect(asked.filter((path) => path === 'pipelines.stats')).not.toEqual([]);
  expect(asked).not.toContain('runs.list');
  const { id } = await slipway.client.pipelines.trigger.mutate({ pipelineId: 'team/site', branch: 'next' });
  await row.getByText(/^#2 .*next/).waitFor();
  await finish(slipway.client, id);
  await row.getByText(/^#2 failed · next · /).waitFor();
});

test('the queues are shown as they are and as they were, as far back as the address says', async () => {
  // Busier and slower than anything that the tests do here.
  const at = Math.floor(Date.now() / 60_000) - 5;
  const point = { at: new Date(at * 60_000).toISOString(), waiting: 70, active: 3, delayed: 0, added: 90, completed: 80, failed: 9, canceled: 0, durationP50Ms: 7_200_000, durationP95Ms: 14_700_000 };
  await slipway.askRedis(`ZADD {slipway}:history ${at} '${JSON.stringify(point)}'`);
  const page = await person.open('/queues?range=15m');
  await page.getByRole('img', { name: 'Jobs in the queue: at most waiting 70, active 3' }).waitFor();
  await page.getByRole('img', { name: 'Runs a minute: at most succeeded 80, failed 9' }).waitFor();
  await page.getByRole('img', { name: 'Durations: at most median 2h 00m, 95 of 100 4h 05m' }).waitFor();
  await page.getByText('As a table').click();
  await page.getByRole('row').filter({ hasText: /70\s*3\s*80\s*9\s*0\s*2h 00m\s*4h 05m/ }).waitFor();
  // Minutes that are told of later come by themselves.
  for (const [minute, waiting] of [[at + 3, 71], [at + 30, 0]] as const) {
    const next = { ...point, at: new Date(minute * 60_000).toISOString(), waiting };
    await slipway.askRedis(`ZADD {slipway}:history ${minute} '${JSON.stringify(next)}'`);
  }
  await page.getByRole('img', { name: 'Jobs in the queue: at most waiting 71, active 3' }).waitFor();
  expect(await faults(page)).toEqual([]);
  await page.getByRole('button', { name: '6 h' }).click();
  // Five minutes as one: the rate is their mean.
  await expect.poll(() => new URL(page.url()).search).toBe('?range=6h');
  await page.getByRole('img', { name: /^Runs a minute: at most/ }).waitFor();

  const figure = (name: string) => page.locator('dt', { hasText: new RegExp(`^${name}$`) }).locator('xpath=following-sibling::dd');
  await expect.poll(() => figure('workers').innerText()).toBe('1');
  await ask(slipway, 'PUT', '/queues/pipelines/pause');
  await page.getByText('The queue is paused').waitFor();
  const { id } = await slipway.client.pipelines.trigger.mutate({ pipelineId: 'team/site' });
  await expect.poll(() => figure('waiting').innerText()).toBe('1');
  await ask(slipway, 'PUT', '/queues/pipelines/resume');
  await expect.poll(() => figure('waiting').innerText()).toBe('0');
  await page.getByText('The queue is paused').waitFor({ state: 'detached' });
  await finish(slipway.client, id);
});

test('somebody with an account signs in by name and password, and out again', async () => {
  await slipway.client.people.create.mutate({ login: 'ana', name: 'Ana', role: 'viewer', password: 'a long password' });
  await person.context.clearCookies();
  person.expectComplaint(/401/);
  const page = await person.open('/pipelines');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByLabel('Name').fill('ana');
  await page.getByLabel('Password').fill('a wrong password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Wrong name or password').waitFor();
  await page.getByLabel('Password').fill('a long password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Pipelines' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Search for' }).fill('Sign out');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});

test('a stranger is asked to sign in, and led to where they wanted', async () => {
  await person.context.clearCookies();
  person.expectComplaint(/401/);
  const page = await person.open('/runs?status=failed');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.getByRole('alert').getByText('not signed in').waitFor();
  expect(await faults(page)).toEqual([]);
  await person.signIn(cookie);
  await page.getByText('With a one-time link').click();
  await page.getByRole('button', { name: 'I have signed in' }).click();
  await page.getByRole('heading', { name: 'Runs' }).waitFor();
  expect(new URL(page.url()).search).toBe('?status=failed');
});

test('a run that has ended loses its log, and then goes itself, where an admin says so twice', async () => {
  const { client } = slipway;
  await client.pipelines.create.mutate({ name: 'short', definition: script('echo gone soon') });
  const { id } = await client.pipelines.trigger.mutate({ pipelineId: 'short' });
  await finish(client, id);
  const page = await person.open('/pipelines/short/runs/1?panel=details');
  await untilShown(page, 'gone soon');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Remove the log' }).click();
  await dialog.getByText('Remove the log of short #1').waitFor();
  await dialog.getByRole('button', { name: 'Remove the log' }).click();
  await page.getByText('Removed by').waitFor();
  expect(await logOf(page).getByText('gone soon').count()).toBe(0);
  await page.reload();
  await page.getByText('Removed by').waitFor();
  expect(await page.getByText('missing').count()).toBe(0);
  await page.getByRole('button', { name: 'Delete the run' }).click();
  await dialog.getByRole('button', { name: 'Delete the run' }).click();
  await page.getByText('This pipeline has not run yet.').waitFor();
  expect((await client.runs.list.query({ pipelineId: 'short' })).items).toEqual([]);
});
