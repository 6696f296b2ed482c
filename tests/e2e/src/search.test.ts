import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { TRPCClientError } from '@trpc/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { following, printed, type Run } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { finish, trigger, unique, untilStatus, waitFor } from './harness/runs.js';
import { until } from './harness/until.js';

const LINES = 20_000;

interface Search {
  text: string;
  regex?: boolean;
  matchCase?: boolean;
  step?: string;
  after?: number;
}

let slipway: Installation;
let run: Run;
let open: () => void;
beforeAll(async () => {
  // Several segments of the archive, and an end that is not archived as long as the run waits.
  slipway = await Installation.start({ env: { SLIPWAY_LOG_SEGMENT_BYTES: '256KiB' } });
  const gate = join(slipway.files, unique('gate'));
  open = () => writeFileSync(gate, '');
  const numbers = `seq -f 'Line %.0f of many' 1 ${LINES}`;
  run = await trigger(
    slipway.client,
    definition([
      { name: 'print', run: `${numbers}; printf 'a \\033[31mcol\\033[0moured "word"\\n'` },
      { name: 'again', needs: ['print'], run: `echo 'Line 7 of few'; ${waitFor(gate)}` },
    ]),
  );
  await until('all is printed', async () => (await lines(LINES + 1)).some(({ message }) => message === 'Line 7 of few'));
});
afterAll(async () => await slipway?.stop());

async function lines(from: number) {
  return (await slipway.client.runs.logs.query({ runId: run.id, from, limit: 100 })).items;
}

/** All that is said of a search, to its end. */
async function search(input: Search) {
  const events = await following<Awaited<ReturnType<typeof last>>>((handlers) =>
    slipway.client.runs.searchLogs.subscribe({ runId: run.id, ...input }, handlers),
  ).done;
  const found = events.at(-1);
  if (found === undefined) throw new Error('nothing was said');
  for (const { count, hits, marks, searched, total } of events) {
    expect(hits.length).toBe(Math.min(count, 1_000));
    expect(marks.reduce((sum, mark) => sum + mark, 0)).toBe(count);
    expect(searched).toBeLessThanOrEqual(total);
  }
  return found;
}

async function last() {
  return { count: 0, hits: [0], marks: [0], searched: 0, total: 0, done: false };
}

/** The lines that a search gives, as they are printed. */
async function texts(input: Search): Promise<string[]> {
  const { hits } = await search(input);
  return await Promise.all(hits.map(async (n) => (await lines(n))[0]?.message ?? ''));
}

describe('the whole log is searched, what is archived and what is not', () => {
  test('by a text, in capitals or small letters, through colours', async () => {
    expect(await texts({ text: 'line 7 of' })).toEqual(['Line 7 of many', 'Line 7 of few']);
    expect(await texts({ text: 'line 7 of', matchCase: true })).toEqual([]);
    expect(await texts({ text: 'coloured "WORD"' })).toEqual(['a \u001b[31mcol\u001b[0moured "word"']);
    expect(await texts({ text: '1999' })).toEqual(
      [1999, ...Array.from({ length: 10 }, (_, digit) => 19990 + digit), 11999].sort((a, b) => a - b).map((n) => `Line ${n} of many`),
    );
  });

  test('by a regular expression, in one step, behind a line', async () => {
    expect(await texts({ text: '^Line [79] of', regex: true })).toEqual(['Line 7 of many', 'Line 9 of many', 'Line 7 of few']);
    expect(await texts({ text: '^Line [79] of', regex: true, step: 'again' })).toEqual(['Line 7 of few']);
    const [, ninth] = (await search({ text: '^Line [79] of', regex: true })).hits;
    expect(await texts({ text: '^Line [79] of', regex: true, after: ninth ?? 0 })).toEqual(['Line 7 of few']);
  });

  test('every line is counted, the first thousand are named, and the rest is found behind them', async () => {
    const { count, hits, marks, searched, total, done } = await search({ text: 'of many' });
    expect({ count, done }).toEqual({ count: LINES, done: true });
    expect(searched).toBe(total);
    const mean = LINES / marks.length;
    expect(marks.slice(1, -2).every((mark) => Math.abs(mark - mean) <= 1)).toBe(true);
    const rest = await search({ text: 'of many', after: hits.at(-1) ?? 0 });
    expect(rest.count).toBe(LINES - hits.length);
    expect(rest.hits[0]).toBe((hits.at(-1) ?? 0) + 1);
  });

  test('what cannot be searched for is refused by the field', async () => {
    for (const [input, field] of [[{ text: '(', regex: true }, 'text'], [{ text: '' }, 'text']] as const) {
      const error = await search(input).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TRPCClientError);
      const { data } = error as { data: { code: string; problems?: { field: string }[] } };
      expect(data).toMatchObject({ code: 'BAD_REQUEST' });
      expect(JSON.stringify(data)).toContain(`"${field}"`);
    }
    await expect(search({ text: 'a', step: 'other' })).rejects.toMatchObject({ data: { code: 'NOT_FOUND' } });
  });
});

test('lists of runs are told at once and whenever a run changes, and a run is found by its number', async () => {
  const told = following<{ at: string }>((handlers) => slipway.client.runs.watchList.subscribe({}, handlers));
  await until('it is told at once', () => told.items.length === 1);
  const next = async (change: () => Promise<unknown>) => {
    const before = told.items.length;
    await change();
    await until('it is told of a change', () => told.items.length > before);
  };
  let made: Run | undefined;
  await next(async () => {
    made = await trigger(slipway.client, script('echo found'));
  });
  if (made === undefined) throw new Error('nothing was made');
  const { id, pipelineId, number } = made;
  const { lines } = await finish(slipway.client, id);
  expect(printed(lines)).toEqual(['found']);
  await next(() => slipway.client.runs.retry.mutate({ runId: id, from: 'start' }));
  told.stop();
  expect(await slipway.client.runs.getByNumber.query({ pipelineId, number })).toMatchObject({ id, number });
  const plain = await fetch(`${slipway.url}/api/v1/pipelines/${pipelineId}/runs/${number}`, {
    headers: { authorization: `Bearer ${slipway.adminToken}` },
  });
  expect([plain.status, ((await plain.json()) as { id: string }).id]).toEqual([200, id]);
  await expect(slipway.client.runs.getByNumber.query({ pipelineId, number: 99 })).rejects.toMatchObject({
    data: { code: 'NOT_FOUND' },
  });
  open();
  await untilStatus(slipway.client, run.id, 'succeeded');
  // Archived by now, and nothing of what is found has changed.
  expect(await texts({ text: 'line 7 of' })).toEqual(['Line 7 of many', 'Line 7 of few']);
});
