// `make soak MINUTES=20`: a steady mix of everything, and whether what it uses stays flat.
//
// Flat: the median of the last quarter is at most 10 % and a small constant above that of the second; the first quarter
// is warm-up. Runs that have ended stay in the database, so that grows with them: of it the bytes per run are judged.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, inject, test } from 'vitest';

import { followLog, outcome } from '../../e2e/src/harness/client.js';
import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { unique } from '../../e2e/src/harness/runs.js';
import { chart, type Panel } from './chart.js';
import { median, MIB, sample, type Sample } from './measure.js';

const MINUTES = Number(process.env['MINUTES'] ?? 20);
const SAMPLE_MS = 5_000;
const TURN_MS = 250;
const OUT = resolve(import.meta.dirname, '../../../target/soak');

interface Quantity {
  title: string;
  unit: string;
  /** Beside 10 %, in the unit. */
  slack: number;
  of: (sample: Sample, runs: number) => number;
}

const quantities: Quantity[] = [
  { title: 'Redis, used_memory', unit: 'MiB', slack: 8, of: ({ redisBytes }) => redisBytes / MIB },
  { title: 'database, per run', unit: 'KiB', slack: 1, of: ({ databaseBytes }, runs) => databaseBytes / 1024 / runs },
  { title: 'server, resident', unit: 'MiB', slack: 16, of: ({ processes }) => processes.server.rssBytes / MIB },
  { title: 'server, descriptors', unit: '', slack: 20, of: ({ processes }) => processes.server.descriptors },
  { title: 'workers, resident', unit: 'MiB', slack: 16, of: ({ processes }) => processes.workers.rssBytes / MIB },
  { title: 'workers, descriptors', unit: '', slack: 20, of: ({ processes }) => processes.workers.descriptors },
  { title: 'open streams', unit: '', slack: 5, of: ({ streams }) => streams },
];

/** The mix, one turn after the other, each without waiting for those before; at most so many at a time. */
const TURNS_MAX = 20;

class Mix {
  runs = 0;
  readonly failures: unknown[] = [];
  private readonly turns = new Set<Promise<void>>();
  private readonly pipelines: Promise<string[]>;

  constructor(private readonly slipway: Installation) {
    const scripts = ['seq 1 200', 'sleep 60', 'echo once; false'];
    const create = async (run: string) => {
      const name = unique('soak');
      return (await slipway.client.pipelines.create.mutate({ name, definition: script(run) })).id;
    };
    this.pipelines = Promise.all(scripts.map(create));
  }

  async go(until: number): Promise<void> {
    for (let turn = 0; Date.now() < until; turn += 1) {
      if (this.turns.size < TURNS_MAX) this.begin(turn);
      await pause(TURN_MS);
    }
    await Promise.all(this.turns);
  }

  private begin(turn: number): void {
    const going = this.take(turn).catch((error: unknown) => {
      this.failures.push(error);
    });
    this.turns.add(going);
    void going.finally(() => this.turns.delete(going));
  }

  private async trigger(kind: number): Promise<string> {
    const pipelineId = (await this.pipelines)[kind];
    if (pipelineId === undefined) throw new Error(`there is no pipeline ${kind}`);
    this.runs += 1;
    return (await this.slipway.client.pipelines.trigger.mutate({ pipelineId })).id;
  }

  private async take(turn: number): Promise<void> {
    const { client } = this.slipway;
    switch (turn % 5) {
      case 0: {
        const runId = await this.trigger(1);
        const log = followLog(client, runId);
        await client.runs.cancel.mutate({ runId });
        await log.done;
        return;
      }
      case 1: {
        const runId = await this.trigger(2);
        await outcome(client, runId);
        await client.runs.retry.mutate({ runId });
        await outcome(client, runId);
        return;
      }
      case 2: {
        // Readers that leave before the end.
        const runId = await this.trigger(0);
        const logs = Array.from({ length: 5 }, () => followLog(client, runId));
        await outcome(client, runId);
        logs.forEach((log) => log.stop());
        return;
      }
      default:
        await followLog(client, await this.trigger(0)).done;
    }
  }
}

function judge({ title, unit, slack }: Quantity, values: number[]): string | undefined {
  const quarter = Math.floor(values.length / 4);
  const before = median(values.slice(quarter, 2 * quarter));
  const after = median(values.slice(-quarter));
  const bound = before * 1.1 + slack;
  const text = `${title}: ${before.toFixed(1)} → ${after.toFixed(1)} ${unit} (at most ${bound.toFixed(1)})`;
  console.log(text);
  return after <= bound ? undefined : text;
}

test(`what ${MINUTES} minutes of everything use stays flat after warm-up`, async () => {
  const slipway = await Installation.start();
  const mix = new Mix(slipway);
  const samples: { sample: Sample; runs: number; at: number }[] = [];
  try {
    const begun = Date.now();
    const end = begun + MINUTES * 60_000;
    const going = mix.go(end);
    while (Date.now() < end) {
      await pause(SAMPLE_MS);
      const { streams } = await slipway.client.system.health.query();
      const taken = await sample(slipway, streams.open);
      samples.push({ sample: taken, runs: mix.runs, at: Math.round((Date.now() - begun) / 1000) });
    }
    await going;
  } finally {
    await slipway.stop();
  }
  const series = quantities.map((quantity) => samples.map((one) => quantity.of(one.sample, one.runs)));
  mkdirSync(OUT, { recursive: true });
  const name = `${inject('database')}-${inject('redis')}`;
  const heading = ['seconds', 'runs', 'database, MiB', ...quantities.map(({ title, unit }) => `${title} ${unit}`.trim())];
  const rows = samples.map(({ at, runs, sample: taken }, row) => {
    const values = [taken.databaseBytes / MIB, ...series.map((values) => values[row] ?? NaN)];
    return [at, runs, ...values.map((value) => value.toFixed(2))];
  });
  writeFileSync(join(OUT, `${name}.csv`), [heading.map((text) => `"${text}"`), ...rows].map((row) => row.join(',')).join('\n'));
  const panels: Panel[] = quantities.map(({ title, unit }, index) => ({ title, unit, values: series[index] ?? [] }));
  writeFileSync(join(OUT, `${name}.svg`), chart(panels));
  console.log(`${mix.runs} runs; plotted in ${join(OUT, name)}.svg`);
  expect(mix.failures.slice(0, 5)).toEqual([]);
  const grown = quantities.map((quantity, index) => judge(quantity, series[index] ?? [])).filter((text) => text !== undefined);
  expect(grown).toEqual([]);
});
