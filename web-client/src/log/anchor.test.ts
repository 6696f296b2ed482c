import fc from 'fast-check';
import { expect, test } from 'vitest';

import { endOf, isWithin, TOP, upper, walk } from './anchor';
import { Heights } from './heights';
import { Layout, LINE_HEIGHT } from './layout';

/** A log of lines that are so many lines high each. */
function heightsOf(lines: readonly number[]): Heights {
  const heights = new Heights(new Layout(lines.length, []), () => false);
  lines.forEach((high, index) => heights.measure(index + 1, high * LINE_HEIGHT));
  return heights;
}

const logs = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 });
const pixelsOf = (heights: Heights, { row, off }: { row: number; off: number }) => heights.topOf(row) + off;

test('a walk goes by as many pixels as it is told, within the log', () => {
  fc.assert(
    fc.property(logs, fc.nat(5_000), fc.integer({ min: -5_000, max: 5_000 }), (lines, from, by) => {
      const heights = heightsOf(lines);
      const last = heights.total - 1;
      const start = walk(TOP, Math.min(from, last), heights);
      expect(pixelsOf(heights, start)).toBe(Math.min(from, last));
      const goal = Math.min(Math.max(0, Math.min(from, last) + by), last);
      const reached = walk(start, goal - Math.min(from, last), heights);
      expect(pixelsOf(heights, reached)).toBe(goal);
      expect(reached.off).toBeLessThan(heights.of(reached.row));
    }),
  );
});

test('the end is where the last row ends with the view, and the top of what fits into it', () => {
  fc.assert(
    fc.property(logs, fc.integer({ min: 1, max: 2_000 }), (lines, viewport) => {
      const heights = heightsOf(lines);
      expect(pixelsOf(heights, endOf(heights, viewport))).toBe(Math.max(0, heights.total - viewport));
    }),
  );
});

test('places are compared as the pixels that they stand at', () => {
  fc.assert(
    fc.property(logs, fc.nat(5_000), fc.nat(5_000), fc.nat(200), (lines, first, second, near) => {
      const heights = heightsOf(lines);
      const [a, b] = [walk(TOP, first % heights.total, heights), walk(TOP, second % heights.total, heights)];
      const [atA, atB] = [pixelsOf(heights, a), pixelsOf(heights, b)];
      expect(pixelsOf(heights, upper(a, b))).toBe(Math.min(atA, atB));
      expect(isWithin(near, a, b, heights)).toBe(atB - atA <= near);
    }),
  );
});
