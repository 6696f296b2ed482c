import { expect, test } from 'vitest';

import { durationOf, quantile } from './stats';

test('a quantile is one of the values', () => {
  expect([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.95), quantile([], 0.5)]).toEqual([2, 3, 0]);
});

test('a run that began later than now has taken no time yet', () => {
  const startedAt = '2026-11-24T04:00:01.000Z';
  expect(durationOf({ startedAt, finishedAt: null }, Date.parse(startedAt) - 900)).toBe(0);
});
