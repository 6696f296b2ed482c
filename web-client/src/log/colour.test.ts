import fc from 'fast-check';
import { expect, test } from 'vitest';

import { contrast, readable } from './colour';

test('any colour can be read on any ground', () => {
  const part = fc.integer({ min: 0, max: 255 });
  const rgb = fc.tuple(part, part, part);
  fc.assert(
    fc.property(rgb, rgb, (colour, ground) => {
      expect(contrast(readable(colour, ground), ground)).toBeGreaterThanOrEqual(4.5);
    }),
  );
});

test('one that can be read already stays as it is', () => {
  expect(readable([20, 30, 40], [255, 255, 255])).toEqual([20, 30, 40]);
});
