import fc from 'fast-check';
import { expect, test } from 'vitest';

import { formatRange, parseRange } from './range';

test('a range is what its address says', () => {
  const line = fc.integer({ min: 1, max: 1e9 });
  fc.assert(
    fc.property(line, line, (a, b) => {
      const range = { from: Math.min(a, b), to: Math.max(a, b) };
      expect(parseRange(`#${formatRange(range)}`)).toEqual(range);
    }),
  );
});

test.each(['', '#', '#L', '#L0', '#L1-', '#L1-2', '#L-1', '#l1', '#L1-L0', '#L1x'])('%o is none', (hash) => {
  expect(parseRange(hash)).toBeNull();
});

test('one that is written the wrong way round is turned', () => {
  expect(parseRange('#L9-L3')).toEqual({ from: 3, to: 9 });
});
