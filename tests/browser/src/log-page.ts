import type { Page } from 'playwright-core';

import { until } from '../../e2e/src/harness/until.js';

/** The log of a run's page: it draws no more than what is seen, and a little around it. */
export function logOf(page: Page) {
  return page.getByRole('region', { name: 'Log' }).last();
}

export async function untilShown(page: Page, line: string): Promise<void> {
  await logOf(page).getByText(line, { exact: true }).waitFor({ state: 'attached' });
}

/** The lines that are drawn, by number. A number that is drawn twice fails. */
async function drawn(page: Page): Promise<Map<number, string>> {
  const rows = await logOf(page)
    .locator('[role=listitem]:not([hidden])')
    .evaluateAll((all) =>
      all.map((row): [number, string | null] => [
        Number(row.querySelector<HTMLElement>('[data-n]')?.dataset['n'] ?? 0),
        row.querySelector('.log-text')?.textContent ?? null,
      ]),
    );
  const lines = new Map<number, string>();
  for (const [n, text] of rows) {
    if (n === 0 || text === null) continue;
    if (lines.has(n)) throw new Error(`line ${n} is drawn twice`);
    lines.set(n, text);
  }
  return lines;
}

/** All lines from the first to the last, read as somebody reads who scrolls through them. */
export async function readThrough(page: Page, total: number): Promise<string[]> {
  const lines = new Map<number, string>();
  const log = logOf(page);
  // A page behind another is drawn when there is time for it.
  await page.bringToFront();
  await log.focus();
  await page.keyboard.press('Home');
  for (let next = 1; next <= total; ) {
    await until(`line ${next} is drawn`, async () => {
      for (const [n, text] of await drawn(page)) {
        const before = lines.get(n);
        if (before !== undefined && before !== text)
          throw new Error(`line ${n} was ${JSON.stringify(before)}, and is ${JSON.stringify(text)}`);
        lines.set(n, text);
      }
      return lines.has(next);
    });
    while (lines.has(next)) next += 1;
    await log.evaluate((scroller) => scroller.scrollBy(0, scroller.clientHeight));
  }
  return Array.from({ length: total }, (_, index) => lines.get(index + 1) ?? '');
}
