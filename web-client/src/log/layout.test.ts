import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Layout, type Item, type Segment } from './layout';

function segment(step: string, first: number, last: number): Segment {
  return { id: `${step}/1`, step, attempt: 1, first, last };
}

function items(layout: Layout): string[] {
  return Array.from({ length: layout.rows }, (_, row) => {
    const item = layout.item(row) as Item;
    return item.kind === 'head' ? item.segment.step : String(item.n);
  });
}

describe('rows', () => {
  const steps = [segment('build', 2, 4), segment('test', 5, 6)];

  test('have a head before each step', () => {
    expect(items(new Layout(7, steps))).toEqual(['1', 'build', '2', '3', '4', 'test', '5', '6', '7']);
  });

  test('of a folded step are its head alone', () => {
    const layout = new Layout(7, steps, new Set(['build/1']));
    expect(items(layout)).toEqual(['1', 'build', 'test', '5', '6', '7']);
    expect(layout.rowOf(3)).toBe(layout.rowOf(2));
    expect(layout.item(layout.rowOf(3))).toMatchObject({ kind: 'head' });
  });

  test('of one step alone are no others', () => {
    expect(items(new Layout(7, steps, new Set(), 'test/1'))).toEqual(['test', '5', '6']);
  });

  test('of steps that are mixed do not fold', () => {
    const mixed = [segment('a', 1, 5), segment('b', 3, 6)];
    const layout = new Layout(6, mixed, new Set(['a/1', 'b/1']));
    expect(items(layout)).toEqual(['a', '1', '2', 'b', '3', '4', '5', '6']);
  });

  test('of nothing are none', () => {
    const layout = new Layout(0, []);
    expect([layout.rows, layout.height, layout.item(0), layout.at(10)]).toEqual([0, 0, undefined, { row: 0, off: 0 }]);
  });
});

const arbitrary = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 60 }), fc.boolean()), { maxLength: 12 })
  .map((parts) => {
    const segments: Segment[] = [];
    const folded = new Set<string>();
    let n = 1;
    parts.forEach(([gap, length, isFolded], index) => {
      const first = Math.max(1, n + gap - 10);
      segments.push({ id: String(index), step: `s${index}`, attempt: 1, first, last: first + length });
      if (isFolded) folded.add(String(index));
      n = first + length + 1;
    });
    return new Layout(n + 3, segments, folded);
  });

test('each line that is shown is found at its row, and each row at its height', () => {
  fc.assert(
    fc.property(arbitrary, (layout) => {
      let top = 0;
      const seen: number[] = [];
      for (let row = 0; row < layout.rows; row += 1) {
        const item = layout.item(row) as Item;
        expect(layout.topOf(row)).toBe(top);
        expect(layout.at(top + 1)).toEqual({ row, off: 1 });
        if (item.kind === 'line') {
          expect(layout.rowOf(item.n)).toBe(row);
          seen.push(item.n);
        }
        top += item.kind === 'head' ? 32 : 20;
      }
      expect(layout.height).toBe(top);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    }),
  );
});
