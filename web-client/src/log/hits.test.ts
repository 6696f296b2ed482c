import type { RunId } from '@slipway/client';
import { expect, test } from 'vitest';

import { Hits, type Look } from './hits';

const PARTS = 512;
const wanted = { runId: 'run' as RunId, text: 'x', regex: false, matchCase: false };

/** Every `every`th line of so many matches. */
function log(total: number, every: number): { look: Look; asked: number[] } {
  const asked: number[] = [];
  const all = Array.from({ length: Math.floor(total / every) }, (_, index) => (index + 1) * every);
  const look: Look = ({ after }, { onData }) => {
    asked.push(after);
    const found = all.filter((n) => n > after);
    const marks = Array.from({ length: PARTS }, () => 0);
    for (const n of found) {
      const part = Math.floor(((n - 1) * PARTS) / total);
      marks[part] = (marks[part] ?? 0) + 1;
    }
    onData({ count: found.length, hits: found.slice(0, 1_000), marks, searched: total, total, done: true });
    return { unsubscribe: () => {} };
  };
  return { look, asked };
}

function searched(total: number, every: number) {
  const { look, asked } = log(total, every);
  const arrived: number[] = [];
  const hits = new Hits(look);
  hits.onArrive = (n) => arrived.push(n);
  hits.search(wanted);
  return { hits, arrived, asked };
}

test('every hit is come to once, in both directions, however many there are', () => {
  const { hits, arrived } = searched(7_777, 3);
  const count = Math.floor(7_777 / 3);
  for (let turn = 1; turn < count; turn += 1) hits.next();
  const all = Array.from({ length: count }, (_, index) => (index + 1) * 3);
  expect(arrived).toEqual(all);
  expect([hits.at, hits.now]).toEqual([count, count * 3]);
  hits.next();
  expect(hits.at).toBe(1);
  arrived.length = 0;
  for (let turn = 0; turn < count; turn += 1) hits.previous();
  expect(arrived).toEqual(all.toReversed());
});

test('a mark leads to the first hit in its part of the log, or behind it', () => {
  const total = 5_000_000;
  const { hits, asked } = searched(total, 700);
  for (const part of [0, 1, 100, 311, PARTS - 1]) {
    hits.goToPart(part);
    const behind = Math.ceil((part * total) / PARTS);
    const first = (Math.floor(behind / 700) + 1) * 700;
    expect([hits.now, hits.at], `part ${part}`).toEqual([first, first / 700]);
  }
  // A search that begins there, not all of those before.
  expect(asked.length).toBeLessThan(6);
  hits.previous();
  const before = hits.now;
  hits.next();
  expect(hits.now).toBe(before + 700);
});

test('more hits in one part than a search names are read on', () => {
  const total = 2_000 * PARTS;
  const { hits } = searched(total, 1);
  hits.goToPart(7);
  expect([hits.at, hits.now]).toEqual([14_001, 14_001]);
  hits.previous();
  expect([hits.at, hits.now]).toEqual([14_000, 14_000]);
});

test('nothing is looked for without a text, and nothing is found of nothing', () => {
  const { hits, asked } = searched(100, 200);
  hits.next();
  hits.previous();
  hits.goToPart(3);
  expect([hits.at, hits.now]).toEqual([0, 0]);
  hits.search({ ...wanted, text: '' });
  expect([asked, hits.found]).toEqual([[0], null]);
});
