import { expect, test } from 'vitest';

import { nearest } from './marks';

test('a click leads to the mark that is nearest, where one is near', () => {
  const marks = [0, 0, 4, 0, 0, 0, 1, 9, 0, 0];
  expect(nearest(marks, 2.5, 2)).toBe(2);
  expect(nearest(marks, 4.2, 2)).toBe(2);
  expect(nearest(marks, 7.4, 0)).toBe(7);
  expect(nearest(marks, 6.4, 0)).toBe(6);
  expect(nearest(marks, 9.9, 1)).toBeNull();
  expect(nearest(marks, 0, 0.5)).toBeNull();
  expect(nearest([], 3, 5)).toBeNull();
});
