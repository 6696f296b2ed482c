// Bull Board's pages: how a test finds on them what people press.
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

/** The buttons of a job, in the order in which the board shows them. */
const BUTTONS = {
  failed: ['retry', 'duplicate', 'update', 'clean'],
  delayed: ['promote', 'reschedule', 'duplicate', 'update', 'clean'],
  completed: ['duplicate', 'retry', 'clean'],
  waiting: ['duplicate', 'update', 'clean'],
  prioritized: ['reprioritise', 'duplicate', 'update', 'clean'],
  'waiting-children': ['removeChildren', 'duplicate', 'update', 'clean'],
} as const;

type Status = keyof typeof BUTTONS;

const FORM_CLEARED_MS = 300;

export async function show(page: Page, status: Status | 'active', queue = 'pipelines'): Promise<void> {
  // What is told last moves all that stands below, and a press that is not over by then comes to nothing.
  const last = page.waitForResponse(new RegExp(`/${queue}/metrics$`));
  await page.goto(`/admin/queues/queue/${queue}?status=${status}`, { waitUntil: 'load' });
  await (await last).finished();
}

/** What is shown of a job. */
export function card(page: Page, { id }: { id: string }): Locator {
  const link = page.getByRole('link', { name: new RegExp(`^${id}\\b`) }).first();
  return link.locator('xpath=ancestor::*[.//button][1]');
}

export async function press(page: Page, job: { id: string }, status: Status, name: string): Promise<void> {
  await pressOf(card(page, job), status, name);
}

async function pressOf(of: Locator, status: Status, name: string): Promise<void> {
  const order: readonly string[] = BUTTONS[status];
  // By the keyboard, which finds it wherever it has moved to.
  await of.locator('button:not([role])').nth(order.indexOf(name)).press('Enter');
}

export async function confirm(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Confirm' }).click();
}

/** Chooses something to be done to the queue that is shown. */
export async function choose(page: Page, item: string): Promise<void> {
  await page.locator('button[aria-haspopup="menu"]').last().click();
  await page.getByRole('menuitem', { name: item }).click();
}

/**
 * Opens the form of a job by `open`, the first one of this page, and waits until it can be filled in: the board makes an
 * editor anew, and drops what was typed, once it has learnt what the queue takes.
 */
export async function openJobForm(page: Page, open: () => Promise<void>): Promise<void> {
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  await page.route(/\/job-data-schema$/, async (route) => await released.then(() => route.continue()), { times: 1 });
  await open();
  await page.getByRole('dialog').locator('.cm-content').first().evaluate((editor) => editor.classList.add('before'));
  release();
  await page.locator('.before').waitFor({ state: 'detached' });
}

/** Fills in the fields of the form that is open, by their names, and sends it; the form closes. */
export async function submit(page: Page, button: string, fields: Record<string, string>): Promise<void> {
  const dialog = page.getByRole('dialog');
  for (const [name, text] of Object.entries(fields)) await dialog.locator(`input[name="${name}"]`).fill(text);
  await dialog.getByRole('button', { name: button, exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  // The board clears a form so long after it was closed, and whatever was opened in its place: its timer is the older.
  await page.evaluate((ms) => new Promise((done) => setTimeout(done, ms)), FORM_CLEARED_MS);
}

/** Replaces what stands in the first editor of the form that is open, in which the board must find no mistake. */
export async function edit(page: Page, text: string): Promise<void> {
  await page.getByRole('dialog').locator('.cm-content').first().click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
  // What is sent of the two editors once they have been looked through.
  const fields = page.locator('input[name="jobData"], input[name="jobOptions"]');
  const sent = () => fields.evaluateAll((found) => found.map((field) => (field as HTMLInputElement).value));
  await expect.poll(sent).toEqual([text, expect.stringMatching(/./)]);
}
