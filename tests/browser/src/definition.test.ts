// The editor of a definition: what it offers, what it finds, what it draws, what it saves.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Installation } from '../../e2e/src/harness/installation.js';
import { unique } from '../../e2e/src/harness/runs.js';
import { faults } from './axe.js';
import { launch, Person, sessionOf } from './browser.js';

const STEPS = 'steps:\n  - name: build\n    run: make\n  - name: test\n    needs: [build]\n    run: make test\n';
const REPORT = '  - name: report\n    needs: [test]\n    when: always\n    run: make report\n';

let slipway: Installation;
let browser: Browser;
let person: Person;
beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
  person = await Person.of(browser, slipway.url);
  await person.signIn(await sessionOf(slipway.signInLink));
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
  // Last: it fails where a page has complained.
  await person?.leave();
});

/** A pipeline of its own, in the editor. */
async function edited(): Promise<{ name: string; page: Page }> {
  const name = unique('edited');
  await slipway.client.pipelines.create.mutate({ name, definition: STEPS });
  const page = await person.open(`/pipelines/${name}/definition`);
  await said(page, 'No problems');
  return { name, page };
}

const said = async (page: Page, words: string) => await page.getByRole('status').getByText(words).waitFor();
const text = (page: Page) => page.locator('.cm-content');
const preview = (page: Page) => page.getByRole('group', { name: 'Preview' });
const node = (page: Page, name: string) => preview(page).getByRole('button', { name: new RegExp(`^${name}\\b`) });
/** What is drawn, from above: each step's name, and what is said of it. */
const drawn = async (page: Page) => await preview(page).getByRole('button').evaluateAll((all) => all.map((one) => (one as HTMLElement).innerText));
const definitionOf = async (name: string) => (await slipway.client.pipelines.get.query({ pipelineId: name })).definition;

/** Over what is there. */
async function write(page: Page, yaml: string): Promise<void> {
  await text(page).click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(yaml);
}

test('what is typed is looked through, drawn and saved', async () => {
  const { name, page } = await edited();
  expect(await drawn(page)).toEqual(['build\nat once', 'test\nafter build']);
  await write(page, STEPS + REPORT);
  await node(page, 'report').waitFor();
  expect(await drawn(page)).toEqual(['build\nat once', 'test\nafter build', 'report\nafter test, always']);
  expect(await faults(page)).toEqual([]);
  await page.keyboard.press('ControlOrMeta+s');
  await page.getByText('Saved', { exact: true }).waitFor();
  expect(await definitionOf(name)).toBe(STEPS + REPORT);
  // The arrow keys go along what is drawn, and from there to its line.
  await node(page, 'build').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.locator('.cm-activeLine').getByText('name: test').waitFor();
  await page.close();
});

test('a problem is shown at its line, nothing is saved with it, and what was drawn stays', async () => {
  const { name, page } = await edited();
  await write(page, STEPS.replace('needs', 'nedds'));
  await said(page, '1 problem');
  await page.getByText('5:5').waitFor();
  await page.getByText(/unknown key .nedds.; did you mean .needs.\?/).waitFor();
  await page.locator('.cm-lintRange-error').getByText('nedds').waitFor();
  expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
  await page.getByText('As it was before the problems').waitFor();
  expect(await drawn(page)).toEqual(['build\nat once', 'test\nafter build']);
  await page.keyboard.press('ControlOrMeta+s');
  // Somebody who leaves is asked, and stays.
  page.once('dialog', (dialog) => void dialog.dismiss());
  await page.getByRole('link', { name: 'Runs', exact: true }).first().click();
  await said(page, '1 problem');
  await write(page, STEPS);
  await said(page, 'No problems');
  expect(await definitionOf(name)).toBe(STEPS);
  await page.close();
});

test('keys and the names of steps are offered', async () => {
  const { page } = await edited();
  await text(page).click();
  await page.keyboard.press('ControlOrMeta+End');
  await page.keyboard.type('    time');
  await page.locator('.cm-tooltip-autocomplete').getByText('timeout').click();
  await page.keyboard.type('5m');
  await said(page, 'No problems');
  expect(await text(page).innerText()).toContain('timeout: 5m');
  page.once('dialog', (dialog) => void dialog.accept());
  await page.close({ runBeforeUnload: true });
});

test('what is selected is typed over, or put into brackets', async () => {
  const { name, page } = await edited();
  await write(page, 'steps:\n  - name: a\n    run: x\n');
  await text(page).getByText('name').dblclick();
  await page.keyboard.insertText('label');
  await said(page, '2 problems');
  await page.keyboard.press('ControlOrMeta+z');
  await page.keyboard.press('ControlOrMeta+Home');
  await page.keyboard.press('Shift+End');
  await page.keyboard.type('[');
  expect(await text(page).innerText()).toContain('[steps:]');
  await page.keyboard.press('ControlOrMeta+z');
  await said(page, 'No problems');
  await page.keyboard.press('ControlOrMeta+s');
  await page.getByText('Saved', { exact: true }).waitFor();
  expect(await definitionOf(name)).toBe('steps:\n  - name: a\n    run: x\n');
  await page.close();
});

test('on a narrow screen the drawing takes the place of the text', async () => {
  const { page } = await edited();
  await page.setViewportSize({ width: 390, height: 844 });
  await preview(page).waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Preview' }).click();
  await preview(page).waitFor();
  await text(page).waitFor({ state: 'hidden' });
  expect(await faults(page)).toEqual([]);
  // To a step's line leads what is drawn, back in the text.
  await node(page, 'test').click();
  await page.locator('.cm-activeLine').getByText('name: test').waitFor();
  await page.close();
});
