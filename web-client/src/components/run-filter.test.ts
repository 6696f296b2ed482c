import { expect, test } from 'vitest';

import { filterOf } from './run-filter';

const now = Date.parse('2026-11-26T12:34:56.789Z');

test('a period is the time since it began, and the same for a whole hour', () => {
  expect(filterOf({ period: '24h' }, now)).toEqual({ since: '2026-11-25T12:00:00.000Z' });
  expect(filterOf({ period: '7d' }, now)).toEqual({ since: '2026-11-19T12:00:00.000Z' });
  expect(filterOf({ period: '30d' }, now)).toEqual({ since: '2026-10-27T12:00:00.000Z' });
  expect(filterOf({ period: '24h' }, now + 60_000)).toEqual(filterOf({ period: '24h' }, now));
});

test('today begins at midnight where the reader is', () => {
  const { since } = filterOf({ period: 'today' }, now);
  const begin = new Date(since ?? '');
  expect([begin.getHours(), begin.getMinutes(), begin.getMilliseconds()]).toEqual([0, 0, 0]);
  expect(begin.toDateString()).toBe(new Date(now).toDateString());
});

test('what an address says is asked for, and nothing else', () => {
  const search = { pipeline: 'a', status: 'failed', branch: 'main', by: 'ann', until: '2026-11-25T12:00:00.000Z', trigger: 1 } as const;
  expect(filterOf(search, now)).toEqual({
    pipelineId: 'a',
    status: 'failed',
    branch: 'main',
    by: 'ann',
    until: '2026-11-25T12:00:00.000Z',
  });
});
