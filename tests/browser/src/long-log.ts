import type { CDPSession, Page } from 'playwright-core';

import { outcome, type Run } from '../../e2e/src/harness/client.js';
import { script } from '../../e2e/src/harness/definition.js';
import type { Installation } from '../../e2e/src/harness/installation.js';
import { trigger } from '../../e2e/src/harness/runs.js';
import { logOf } from './log-page.js';

/** A run that has printed so many numbers, a line each. It has ended. */
export async function numbered(slipway: Installation, lines: number): Promise<Run> {
  const run = await trigger(slipway.client, script(`seq ${lines}`));
  await outcome(slipway.client, run.id);
  return run;
}

export const lineOf = (page: Page, n: number) => logOf(page).getByRole('link', { name: `Line ${n}`, exact: true });

/** What the page's JavaScript holds, once what it does not is gone. */
export class Heap {
  private constructor(private readonly session: CDPSession) {}

  static async of(page: Page): Promise<Heap> {
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    return new Heap(session);
  }

  async bytes(): Promise<number> {
    await this.session.send('HeapProfiler.collectGarbage');
    const { metrics } = await this.session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? NaN;
  }
}

/** Drags the scrollbar from one share of the log to another: gives how long each frame took. */
export async function drag(page: Page, from: number, to: number, frames: number): Promise<number[]> {
  return await eachFrame(page, frames, [from, (to - from) / frames, 0]);
}

/** Scrolls by so many pixels a frame, as a wheel does: gives how long each frame took. */
export async function scroll(page: Page, pixels: number, frames: number): Promise<number[]> {
  return await eachFrame(page, frames, [0, 0, pixels]);
}

async function eachFrame(page: Page, frames: number, move: [start: number, share: number, pixels: number]): Promise<number[]> {
  return await logOf(page).evaluate(
    async (scroller, [count, start, share, pixels]) => {
      const nextFrame = () => new Promise<number>((done) => requestAnimationFrame(done));
      const took: number[] = [];
      let before = await nextFrame();
      for (let frame = 1; frame <= count; frame += 1) {
        if (pixels !== 0) scroller.scrollBy(0, pixels);
        else scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * (start + share * frame);
        const now = await nextFrame();
        took.push(now - before);
        before = now;
      }
      return took;
    },
    [frames, ...move] as const,
  );
}
