import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { EDGE, NATIVE_MAX, ScrollMap } from './scroll';

const ROW = 20;
const totals = [0, 1, 399_999, 400_001, 5_000_000, 50_000_000];

describe.each(totals)('a log of %i lines', (total) => {
  const map = new ScrollMap(total * ROW);

  test('is no higher than browsers can', () => {
    expect(map.native).toBeLessThanOrEqual(NATIVE_MAX);
  });

  test('begins and ends where the scrolled element does', () => {
    expect(map.toContent(0)).toBe(0);
    expect(map.toContent(map.native)).toBe(map.content);
    expect(map.toNative(map.content)).toBe(map.native);
  });

  test('is found again from any place, and the order stays', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (a, b) => {
        const [y, z] = [a * map.native, b * map.native];
        expect(map.toNative(map.toContent(y))).toBeCloseTo(y, 3);
        if (y < z) expect(map.toContent(y)).toBeLessThanOrEqual(map.toContent(z));
      }),
    );
  });

  test('moves pixel by pixel near both ends', () => {
    const near = Math.min(EDGE, map.native) / 2;
    expect(map.toContent(near) - map.toContent(0)).toBe(near);
    expect(map.content - map.toContent(map.native - near)).toBe(near);
  });
});
