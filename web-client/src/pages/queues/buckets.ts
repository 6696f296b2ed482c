import type { QueuePoint } from '@slipway/client';

import type { Range } from '../../search';

const MINUTE_MS = 60_000;

/** How far back, and how many minutes are drawn as one: no more than can be told apart. */
const spans: Record<Range, { minutes: number; each: number }> = {
  '15m': { minutes: 15, each: 1 },
  '1h': { minutes: 60, each: 1 },
  '6h': { minutes: 360, each: 5 },
  '24h': { minutes: 1_440, each: 20 },
};

export const minutesOf = (range: Range): number => spans[range].minutes;

/** When the last of some minutes was over. */
export function untilOf(points: readonly QueuePoint[]): number {
  const last = points.at(-1);
  return last === undefined ? 0 : Date.parse(last.at) + MINUTE_MS;
}

/** Some minutes as one; null where nothing is known of them. */
export interface Bucket {
  at: number;
  /** At most. */
  waiting: number | null;
  active: number | null;
  /** A minute, on average. */
  succeeded: number | null;
  failed: number | null;
  canceled: number | null;
  /** In milliseconds: of half of the runs, and of 95 of 100, in the slowest minute. */
  p50: number | null;
  p95: number | null;
}

/** Oldest first, up to the one that `now` lies in. */
export function bucketsOf(points: readonly QueuePoint[], range: Range, now: number): Bucket[] {
  const { minutes, each } = spans[range];
  const size = each * MINUTE_MS;
  const count = minutes / each;
  const start = (Math.floor(now / size) - count + 1) * size;
  const of: QueuePoint[][] = Array.from({ length: count }, () => []);
  for (const point of points) of[Math.floor((Date.parse(point.at) - start) / size)]?.push(point);
  return of.map((own, index) => ({
    at: start + index * size,
    waiting: highest(own.map(({ waiting }) => waiting)),
    active: highest(own.map(({ active }) => active)),
    succeeded: mean(own.map(({ completed }) => completed)),
    failed: mean(own.map(({ failed }) => failed)),
    canceled: mean(own.map(({ canceled }) => canceled)),
    p50: highest(own.map(({ durationP50Ms }) => durationP50Ms)),
    p95: highest(own.map(({ durationP95Ms }) => durationP95Ms)),
  }));
}

function highest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The end of an axis that has room for the value: 1, 2 or 5 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((end) => end >= value) ?? value;
}
