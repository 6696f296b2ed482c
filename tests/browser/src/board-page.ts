// Bull Board's pages: how a test finds on them what people press.
import type { Locator, Page } from 'playwright-core';

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
  await page.goto(`/admin/queues/queue/${queue}?status=${status}`, { waitUntil: 'load' });
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
  await of.locator('button:not([role])').nth(order.indexOf(name)).click();
}

export async function confirm(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Confirm' }).click();
}

/** Chooses something to be done to the queue that is shown. */
export async function choose(page: Page, item: string): Promise<void> {
  await page.locator('button[aria-haspopup="menu"]').last().click();
  await page.getByRole('menuitem', { name: item }).click();
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

/** Replaces what stands in the first editor of the form that is open. */
export async function edit(page: Page, text: string): Promise<void> {
  await page.getByRole('dialog').locator('.cm-content').first().click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
}
