import type { LogLine } from '@slipway/client';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { LogModel } from './model';
import { PAGE_LINES, type Read } from './read';

function line(n: number, more: Partial<LogLine> = {}): LogLine {
  const at = new Date(n * 1000).toISOString();
  return { id: `1-${n}`, n, timestamp: at, step: 'work', attempt: 1, stream: 'stdout', message: `line ${n}`, ...more };
}

/** A server that has this many lines. */
function server(total: () => number): { read: Read; reads: [number, number][] } {
  const reads: [number, number][] = [];
  const read: Read = async (from, limit, signal) => {
    reads.push([from, limit]);
    await Promise.resolve();
    signal.throwIfAborted();
    const count = Math.max(0, Math.min(limit, total() - from + 1));
    return { items: Array.from({ length: count }, (_, index) => line(from + index)), total: total() };
  };
  return { read, reads };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

const texts = (model: LogModel, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => model.line(from + index)?.text);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('reading', () => {
  test('asks for what is looked at, two pages at a time', async () => {
    const { read, reads } = server(() => 5_000);
    const model = new LogModel(read);
    model.know(5_000);
    model.want(400, 1_700);
    expect(reads).toEqual([
      [1, PAGE_LINES],
      [501, PAGE_LINES],
    ]);
    await settled();
    expect(model.missing(400, 1_700)).toBe(0);
    expect(model.line(1_234)?.text).toBe('line 1234');
    expect(model.line(2_001)).toBeUndefined();
  });

  test('lets go what is not looked at any more', async () => {
    const signals: AbortSignal[] = [];
    const model = new LogModel((_from, _limit, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    model.know(100_000);
    model.want(1, 100);
    model.want(50_001, 50_100);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  test('that fails is tried again after a pause that grows', async () => {
    let calls = 0;
    const model = new LogModel(() => {
      calls += 1;
      return Promise.reject(new Error('away'));
    });
    model.know(10);
    model.want(1, 10);
    await settled();
    expect([calls, model.failure]).toEqual([1, new Error('away')]);
    model.want(1, 10);
    expect(calls).toBe(1);
    await vi.advanceTimersByTimeAsync(500);
    await vi.advanceTimersByTimeAsync(999);
    expect(calls).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls).toBe(3);
    model.wake();
    expect(calls).toBe(4);
    model.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toBe(4);
  });

  test('what the server says it has and does not give is not asked for without a pause', async () => {
    let calls = 0;
    const model = new LogModel(async () => {
      calls += 1;
      return { items: [], total: 10 };
    });
    model.know(10);
    model.want(1, 10);
    await settled();
    expect([calls, model.missing(1, 10)]).toEqual([1, 10]);
  });

  test('keeps a bounded part of a long log, and what is looked at', async () => {
    const { read } = server(() => 5_000_000);
    const model = new LogModel(read);
    model.know(5_000_000);
    for (let from = 1; from < 160 * PAGE_LINES; from += PAGE_LINES) {
      model.want(from, from + PAGE_LINES - 1);
      await settled();
      expect(model.missing(from, from + PAGE_LINES - 1)).toBe(0);
    }
    expect(model.missing(1, 160 * PAGE_LINES)).toBe(40 * PAGE_LINES);
  });
});

describe('a line that came in parts', () => {
  test('is put together over other steps, and only of its own', () => {
    const model = new LogModel(server(() => 0).read);
    model.push(line(1, { message: 'one ', partial: true }));
    model.push(line(2, { message: 'other', step: 'else' }));
    model.push(line(3, { message: 'two ', partial: true, continued: true }));
    expect(model.text(1)).toBe('one two ');
    model.push(line(4, { message: 'three', continued: true }));
    model.push(line(5, { message: 'next' }));
    expect([1, 2, 5].map((n) => model.text(n))).toEqual(['one two three', 'other', 'next']);
  });
});

test('whatever is cut, repeated or left out, each line is there once in the end', async () => {
  const deliveries = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 40 })), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(deliveries, fc.integer({ min: 0, max: 1_200 }), async (cuts, known) => {
      let sent = known;
      const { read } = server(() => sent);
      const model = new LogModel(read);
      model.know(known);
      let last = known;
      for (const [back, forward] of cuts) {
        // A reconnect that begins too early repeats; one that begins too late leaves out.
        const from = Math.max(1, back % 2 === 0 ? last - back : last + back);
        for (let n = from; n < from + forward; n += 1) model.push(line(n));
        last = Math.max(last, from + forward - 1);
        sent = Math.max(sent, last);
        if (back % 3 === 0) {
          model.want(Math.max(1, last - 100), last);
          await settled();
        }
      }
      for (let from = 1; from <= model.total; from += PAGE_LINES) {
        model.want(from, from + PAGE_LINES - 1);
        await settled();
      }
      expect(model.total).toBe(sent);
      expect(texts(model, 1, sent)).toEqual(Array.from({ length: sent }, (_, index) => `line ${index + 1}`));
      model.close();
    }),
    { numRuns: 60 },
  );
});
