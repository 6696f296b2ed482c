import type { QueuePoint } from '@slipway/client';
import { expect, test } from 'vitest';

import { bucketsOf, roundUp, untilOf } from './buckets';

const at = (minute: number) => Date.UTC(2026, 0, 1, 12, minute);

function point(minute: number, numbers: Partial<QueuePoint> = {}): QueuePoint {
  const none = { waiting: 0, active: 0, delayed: 0, added: 0, completed: 0, failed: 0, canceled: 0 };
  return { at: new Date(at(minute)).toISOString(), ...none, durationP50Ms: null, durationP95Ms: null, ...numbers };
}

test('the last minutes, a bucket each, and the one that is not over is unknown', () => {
  const buckets = bucketsOf([point(-1), point(13, { waiting: 3, completed: 2, durationP95Ms: 70 })], '15m', at(14) + 30_000);
  expect(buckets.map(({ at: begin }) => begin)).toEqual(Array.from({ length: 15 }, (_, minute) => at(minute)));
  expect(buckets.at(-2)).toMatchObject({ waiting: 3, succeeded: 2, failed: 0, p50: null, p95: 70 });
  expect(buckets.at(-1)).toMatchObject({ waiting: null, succeeded: null });
  expect(buckets[0]).toMatchObject({ waiting: null });
});

test('what is known reaches to the end of its last minute', () => {
  expect(untilOf([point(12), point(13)])).toBe(at(14));
  expect(untilOf([])).toBe(0);
});

test('several minutes as one have the highest depth and the mean rate', () => {
  const some = [point(0, { waiting: 1, failed: 4 }), point(1, { waiting: 7, failed: 0 }), point(5, { waiting: 2 })];
  const buckets = bucketsOf(some, '6h', at(6));
  expect(buckets).toHaveLength(72);
  expect(buckets.at(-2)).toMatchObject({ at: at(0), waiting: 7, failed: 2 });
  expect(buckets.at(-1)).toMatchObject({ at: at(5), waiting: 2 });
});

test('an axis ends at a round number with room for its highest value', () => {
  expect([0, 0.4, 1, 1.5, 3, 12, 50, 51, 700].map(roundUp)).toEqual([1, 1, 1, 2, 5, 20, 50, 100, 1_000]);
});
