import type { Run, RunStatus } from '@slipway/client';
import { expect, test } from 'vitest';

import { durationOf, quantile, statsOf } from './stats';

function run(status: RunStatus, seconds: number | null): Run {
  const at = (s: number) => new Date(s * 1000).toISOString();
  const ended = seconds === null ? null : at(seconds);
  return { status, startedAt: at(0), finishedAt: ended } as Run;
}

test('a pipeline is as healthy as the runs that ended by themselves', () => {
  const runs = [run('succeeded', 1), run('succeeded', 3), run('succeeded', 9), run('failed', 50)];
  const others = [run('canceled', 7), run('running', null)];
  expect(statsOf([...runs, ...others])).toEqual({ success: 0.75, median: 3_000, ended: 4 });
  expect(statsOf(others)).toEqual({ success: null, median: null, ended: 0 });
});

test('a quantile is one of the values', () => {
  expect([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.95), quantile([], 0.5)]).toEqual([2, 3, 0]);
});

test('a run that began later than now has taken no time yet', () => {
  const startedAt = '2026-11-24T04:00:01.000Z';
  expect(durationOf({ startedAt, finishedAt: null }, Date.parse(startedAt) - 900)).toBe(0);
});
