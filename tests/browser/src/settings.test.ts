import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import type { Role } from '@slipway/client';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { definition } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { CLIENT_ID, CLIENT_SECRET, SignOnProvider } from '../../e2e/src/harness/oidc.js';
import { freePort } from '../../e2e/src/harness/ports.js';
import { faults } from './axe.js';
import { launch, Person } from './browser.js';
import { untilShown } from './log-page.js';

const PASSWORD = 'a long password';
/** A bound for what hangs; a busy machine is slow. */
const SOON = { timeout: 60_000 };
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; rv:150.0) Gecko/20100101 Firefox/150.0';

let slipway: Installation;
let browser: Browser;
let boss: Person;
let provider: SignOnProvider;

beforeAll(async () => {
  const [port, providerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  provider = new SignOnProvider(providerPort, [url]);
  const env = {
    SLIPWAY_RETENTION_RUNS: '60d',
    SLIPWAY_RETENTION_RUNS_MIN: '3',
    SLIPWAY_PUBLIC_URL: url,
    SLIPWAY_OIDC_ISSUER: provider.issuer,
    SLIPWAY_OIDC_CLIENT_ID: CLIENT_ID,
    SLIPWAY_OIDC_CLIENT_SECRET: CLIENT_SECRET,
    SLIPWAY_OIDC_CREATE_PEOPLE: 'true',
    SLIPWAY_OIDC_DEFAULT_ROLE: 'viewer',
  };
  [slipway, browser] = await Promise.all([Installation.start({ port, env }), launch(), provider.start()]);
  await slipway.client.people.create.mutate({ login: 'boss', password: PASSWORD, role: 'admin' });
  const steps = [{ name: 'use', run: 'echo "sum $(printf %s "$KEY" | sha256sum | cut -c1-64)"; echo "value $KEY"', secrets: ['KEY'] }];
  await slipway.client.pipelines.create.mutate({ name: 'shop', definition: definition(steps) });
  await slipway.client.pipelines.create.mutate({ name: 'other', definition: definition([{ name: 'a', run: 'true' }]) });
  boss = await Person.of(browser, slipway.url);
  await signIn(boss.context, 'boss');
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
  await provider?.stop();
  // Last: it fails where a page has complained.
  await boss?.leave();
});

async function signIn(context: BrowserContext, name: string, agent?: string): Promise<void> {
  const headers = { origin: slipway.url, ...(agent === undefined ? {} : { 'user-agent': agent }) };
  const answer = await context.request.post('/sign-in', { form: { name, password: PASSWORD }, headers });
  expect(answer.ok()).toBe(true);
}

/** Somebody with an account, signed in. */
async function newcomer(login: string, role: Role | null): Promise<Person> {
  await slipway.client.people.create.mutate({ login, password: PASSWORD, role });
  const person = await Person.of(browser, slipway.url);
  await signIn(person.context, login);
  return person;
}

const isIn = async (context: BrowserContext) => (await context.request.get('/api/v1/auth/me')).ok();
const isFocused = (place: Locator) =>
  expect.poll(() => place.evaluate((element) => element === document.activeElement), SOON).toBe(true);
const settingsOf = async (page: Page) => await page.getByRole('navigation', { name: 'Settings' }).getByRole('link').allInnerTexts();

test('an admin makes a person, who does what they may until they are disabled', async () => {
  const page = await boss.open('/settings/people');
  const create = page.getByRole('button', { name: 'New person' });
  await create.focus();
  await page.keyboard.press('Enter');
  boss.expectComplaint(/40[09]/);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Login').fill('ana@home');
  await dialog.getByLabel('Role', { exact: true }).selectOption('');
  await dialog.getByLabel('Add a pipeline').fill('shop');
  // Once it is known that there is one.
  await dialog.locator('datalist option[value=shop]').waitFor({ state: 'attached' });
  await page.keyboard.press('Enter');
  await dialog.getByLabel('Role in shop').selectOption('operator');
  await dialog.getByLabel('Email').press('Enter');
  await isFocused(dialog.getByLabel('Login'));
  expect(await dialog.getByLabel('Login').getAttribute('aria-invalid')).toBe('true');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('Ana');
  await page.keyboard.press('Enter');
  await dialog.getByText('the only time that it is shown').waitFor();
  expect(await faults(page)).toEqual([]);
  const password = await dialog.locator('pre').innerText();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await isFocused(create);
  await page.getByRole('link', { name: 'ana', exact: true }).waitFor();
  expect(await page.content()).not.toContain(password);

  const ana = await Person.of(browser, slipway.url);
  ana.expectComplaint(/40[01]/);
  const hers = await ana.open('/settings/people');
  await hers.getByLabel('Name').fill('ana');
  await hers.getByLabel('Password').fill(password);
  await hers.getByRole('button', { name: 'Sign in' }).click();
  await hers.getByText('Somebody with the role admin may open this page').waitFor();
  expect(await settingsOf(hers)).toEqual(['Account', 'Appearance', 'About']);
  await hers.goto('/pipelines');
  await hers.getByRole('link', { name: 'shop' }).waitFor();
  expect(await hers.getByRole('link', { name: 'other' }).count()).toBe(0);
  await hers.goto('/pipelines/shop/settings');
  await hers.getByText('An admin of this pipeline may change its settings').waitFor();

  // The rules of her own and of the server, each said at its field.
  await hers.goto('/settings/account');
  const change = async (present: string, next: string, again = next) => {
    await hers.getByLabel('Present password').fill(present);
    await hers.getByLabel('New password', { exact: true }).fill(next);
    await hers.getByLabel('New password again').fill(again);
    await hers.keyboard.press('Enter');
  };
  await change(password, 'short');
  await isFocused(hers.getByLabel('New password', { exact: true }));
  await change(password, 'another password', 'yet another one');
  await isFocused(hers.getByLabel('New password again'));
  await change('not the password', 'another password');
  await hers.getByText('This is not your present password').waitFor();
  await isFocused(hers.getByLabel('Present password'));
  expect(await faults(hers)).toEqual([]);
  await change(password, PASSWORD);
  await hers.getByText('The password is changed').waitFor();
  await signIn(ana.context, 'ana');

  await hers.goto('/runs');
  await hers.getByRole('heading', { name: 'Runs' }).waitFor();
  await page.getByRole('link', { name: 'ana', exact: true }).click();
  const disable = page.getByRole('button', { name: 'Disable' });
  await disable.click();
  await page.getByRole('dialog').getByText('Disable ana?').waitFor();
  await page.keyboard.press('Escape');
  await isFocused(disable);
  await disable.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
  await page.getByText('This account is disabled').waitFor();
  await isFocused(page.getByRole('button', { name: 'Enable' }));
  // She is led out without doing anything.
  await hers.getByRole('heading', { name: 'Sign in' }).waitFor();
  await ana.leave();

  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('link', { name: 'boss' }).waitFor();
  await page.getByRole('link', { name: 'ana', exact: true }).waitFor({ state: 'detached' });
  await page.close();
});

test('an admin cannot shut themselves out', async () => {
  const page = await boss.open('/settings/people/boss');
  await page.getByText('another admin has to disable or delete it').waitFor();
  expect(await page.getByLabel('Role', { exact: true }).isDisabled()).toBe(true);
  expect(await page.getByRole('button', { name: /Disable|Delete/ }).count()).toBe(0);
  const { request } = boss.context;
  const headers = { origin: slipway.url };
  for (const data of [{ disabled: true }, { role: 'operator' }, { role: null }])
    expect((await request.patch('/api/v1/people/boss', { data, headers })).status()).toBe(409);
  expect((await request.delete('/api/v1/people/boss', { headers })).status()).toBe(409);
  await page.getByLabel('Name').fill('The Boss');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('Saved').waitFor();
  await page.close();
});

test('browsers are signed out, one and all others', async () => {
  const contexts = await Promise.all([1, 2, 3].map(() => browser.newContext({ baseURL: slipway.url })));
  const [first, second, third] = contexts as [BrowserContext, BrowserContext, BrowserContext];
  const eve = await newcomer('eve', 'viewer');
  await signIn(first, 'eve', FIREFOX);
  for (const context of [second, third]) await signIn(context, 'eve');
  const page = await eve.open('/settings/account');
  const rows = page.getByRole('table', { name: 'Signed-in browsers' }).getByRole('row');
  await expect.poll(() => rows.count(), SOON).toBe(5);
  await rows.filter({ hasText: 'this browser' }).waitFor();
  await page.getByRole('button', { name: 'Sign out Firefox on Windows' }).click();
  await expect.poll(() => rows.count(), SOON).toBe(4);
  expect(await Promise.all(contexts.map(isIn))).toEqual([false, true, true]);
  await page.getByRole('button', { name: 'Sign out all others' }).click();
  await expect.poll(() => rows.count(), SOON).toBe(2);
  expect(await Promise.all([...contexts, eve.context].map(isIn))).toEqual([false, false, false, true]);
  for (const context of contexts) await context.close();
  await eve.leave();
});

test('who came in by single sign-on signs out there too, and lands on the sign-in page', async () => {
  provider.who = '7';
  provider.accounts.set('7', { preferred_username: 'ida' });
  const ida = await Person.of(browser, slipway.url);
  // The provider has no icon.
  ida.expectComplaint(/40[14]|request to another host: http:\/\/127\.0\.0\.1/);
  const page = await ida.open('/sign-in');
  await page.getByRole('link', { name: 'Sign in with Single sign-on' }).click();
  await page.goto('/settings/account');
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.waitForURL((url) => url.origin === provider.issuer);
  expect(await isIn(ida.context)).toBe(false);
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('status').getByText('You are signed out').waitFor();
  expect(new URL(page.url()).origin).toBe(slipway.url);
  expect(await faults(page)).toEqual([]);
  await ida.leave();
});

test('a secret is set for a pipeline, and shown to nobody but its step', async () => {
  const lines = ['-----BEGIN KEY-----', 'first secret line', 'second secret line'];
  const page = await boss.open('/pipelines/shop/settings');
  boss.expectComplaint(/400/);
  await page.getByRole('button', { name: 'New secret' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('key');
  await page.getByLabel('Value').fill(lines.join('\n'));
  await page.getByRole('button', { name: 'Store it' }).click();
  await expect.poll(() => page.getByRole('dialog').getByLabel('Name').getAttribute('aria-invalid'), SOON).toBe('true');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('KEY');
  await page.keyboard.press('Enter');
  await page.getByText('KEY is stored').waitFor();
  const row = page.getByRole('row').filter({ hasText: 'KEY' });
  await row.getByText('by boss').waitFor();
  expect(await page.content()).not.toContain('secret line');
  expect(page.url()).not.toContain('secret');

  await page.goto('/pipelines/shop?trigger=1');
  await page.getByRole('dialog').getByRole('button', { name: 'Trigger' }).click();
  await untilShown(page, `sum ${createHash('sha256').update(lines.join('\n')).digest('hex')}`);
  await untilShown(page, 'value ***');

  await page.goto('/pipelines/shop/settings');
  await page.getByRole('button', { name: 'Replace KEY' }).click();
  await page.getByLabel('Branches').fill('main\nrelease/*');
  await page.getByLabel('Value').fill('the next value');
  await page.getByRole('button', { name: 'Store it' }).click();
  await row.getByText('main, release/*').waitFor();
  await page.getByRole('button', { name: 'Delete KEY' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row.waitFor({ state: 'detached' });
  await page.close();
});

test('a pipeline keeps what has ended by rules of its own, or as the server has it', async () => {
  const page = await boss.open('/pipelines/other/settings');
  boss.expectComplaint(/400/);
  const [runs, logs, count] = ['Runs and their logs', 'Logs alone', 'Number of runs that have ended'].map((label) => page.getByLabel(label, { exact: true })) as [Locator, Locator, Locator];
  const stored = async () => (await slipway.client.pipelines.get.query({ pipelineId: 'other' })).retention;
  const chosen = (select: Locator) => select.locator('option:checked').innerText();
  const save = () => page.getByRole('button', { name: 'Save' }).click();
  // What applies, and that it is the server's.
  await runs.getByText("Server's default: 60 days").waitFor({ state: 'attached' });
  expect(await Promise.all([runs, logs, count].map(chosen))).toEqual([
    "Server's default: 60 days",
    "Server's default: as long as their runs",
    "Server's default: any number",
  ]);
  await page.getByText('The last 3 runs are kept').waitFor();

  await runs.selectOption('For ever');
  await logs.selectOption('A time of its own');
  const age = page.getByRole('spinbutton', { name: 'A time of its own' });
  // What the page would not let through, the server refuses, and it is said at its field.
  await age.evaluate((input) => input.removeAttribute('max'));
  await age.fill('10000');
  await save();
  await expect.poll(() => age.getAttribute('aria-invalid'), SOON).toBe('true');
  await isFocused(age);
  expect(await faults(page)).toEqual([]);
  expect(await stored()).toBe(null);
  await age.fill('36');
  await page.getByLabel('Unit').selectOption('hours');
  await count.selectOption('A number of its own');
  await page.getByRole('spinbutton', { name: 'A number of its own' }).fill('500');
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('Saved').waitFor();
  expect(await stored()).toEqual({ runs: 'forever', logs: '36h', keepRuns: 500 });

  await page.reload();
  await expect.poll(() => age.inputValue(), SOON).toBe('36');
  expect(await page.getByLabel('Unit').inputValue()).toBe('h');
  expect(await chosen(runs)).toBe('For ever');
  for (const select of [runs, logs, count]) await select.selectOption({ index: 0 });
  await save();
  await page.getByRole('status').getByText('Saved').waitFor();
  expect(await stored()).toBe(null);
  await page.close();
});

test('the audit trail shows who did what, by filters that the address keeps', async () => {
  await slipway.client.secrets.set.mutate({ name: 'AUDITED', value: 'of nobody' });
  const zoe = await newcomer('zoe', 'viewer');
  const headers = { origin: slipway.url };
  expect((await zoe.context.request.delete('/api/v1/secrets/AUDITED', { headers })).status()).toBe(403);
  await zoe.leave();
  const page = await boss.open('/settings/audit?outcome=nonsense&x=1');
  const rows = page.getByRole('table', { name: 'Audit trail' }).getByRole('row');
  await rows.filter({ hasText: 'secrets.set' }).filter({ hasText: 'AUDITED' }).waitFor();
  await rows.filter({ hasText: 'secret shop/KEY' }).getByRole('link', { name: 'shop' }).first().waitFor();
  await rows.filter({ hasText: 'people.create' }).getByRole('link', { name: 'zoe' }).waitFor();
  await page.getByRole('link', { name: 'zoe' }).and(page.getByTitle('Only what zoe did')).first().click();
  await expect.poll(() => rows.count(), SOON).toBe(3);
  await page.getByLabel('Outcome').selectOption('refused');
  await expect.poll(() => rows.count(), SOON).toBe(2);
  await rows.filter({ hasText: 'this needs the role admin' }).waitFor();
  expect(new URL(page.url()).search).toBe('?actor=zoe&outcome=refused');
  await page.reload();
  await expect.poll(() => rows.count(), SOON).toBe(2);
  expect(await page.getByLabel('Outcome').inputValue()).toBe('refused');

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
  const saved = readFileSync(await download.path(), 'utf8').trimEnd().split('\n');
  expect(saved.map((line) => JSON.parse(line))).toMatchObject([{ actor: 'zoe', action: 'secrets.delete', outcome: 'refused' }]);
  expect(download.suggestedFilename()).toBe('audit.ndjson');

  await page.getByRole('button', { name: 'Clear' }).click();
  await rows.filter({ hasText: 'people.create' }).getByRole('link', { name: 'zoe' }).click();
  await page.getByRole('heading', { name: 'zoe' }).waitFor();
  await page.close();
});
