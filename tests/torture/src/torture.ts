import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Client } from '@slipway/client';

import { Repository } from '../../e2e/src/harness/repository.js';
import { hastyClient } from './calls.js';
import { check } from './checks/index.js';
import { ends } from './checks/ends.js';
import { leftovers } from './checks/leftovers.js';
import { Cluster } from './cluster.js';
import { Embedded } from './embedded.js';
import { gather, type Violation } from './evidence.js';
import { faultsOf } from './faults.js';
import { Load } from './load.js';
import { drawLoad } from './plan.js';
import { Random } from './random.js';
import { explained, Progress, summary } from './report.js';
import { drawSchedule, Schedule } from './schedule.js';
import { replay, type Kind, type Settings } from './settings.js';
import type { Setup } from './setup.js';
import { definitionOf, SHAPES } from './shapes.js';

/** From the end of the last fault until everything has come to its end. */
const DRAIN_MS_MAX = 180_000;
/** What is said of it at once; the rest is in a file. */
const SHOWN_MAX = 8;

/** Breaks a whole installation for a while, and throws with what should not have come of it. */
export async function torture(kind: Kind, settings: Settings): Promise<void> {
  const progress = new Progress(kind);
  const setup = kind === 'embedded' ? await Embedded.create() : await Cluster.create();
  let isSound = false;
  try {
    const found = await tortured(setup, settings, progress);
    isSound = found === undefined;
    if (found !== undefined) throw new Error(found);
  } finally {
    progress.stop();
    await setup.stop(!isSound);
  }
}

/** What was violated, in words; undefined if nothing was. */
async function tortured(setup: Setup, settings: Settings, progress: Progress): Promise<string | undefined> {
  const { say } = progress;
  const { kind } = setup;
  say(`seed ${settings.seed}, in ${setup.dir}`);
  await setup.start();
  const client = hastyClient(setup.url, setup.adminToken);
  const pipelines = await createPipelines(setup, client);

  const random = new Random(settings.seed).split(kind);
  const slots = drawSchedule(random.split('faults'), faultsOf(setup), settings.durationMs);
  const plans = drawLoad(random.split('load'), settings.durationMs);
  progress.startedMs = Date.now();
  const { startedMs } = progress;
  const load = new Load(client, setup.url, setup.adminToken, pipelines, startedMs);
  const schedule = new Schedule(slots, startedMs, say);
  progress.watch(load, schedule);
  setup.keepRunning(say);
  load.start(plans);
  await schedule.run();
  load.stop();
  say('all faults are healed');
  await setup.heal();
  await load.drain(DRAIN_MS_MAX);
  say('drained');
  progress.stop();

  const evidence = await gather(client, load.histories, setup.effects);
  const violations: Violation[] = check(evidence);
  violations.push(...(await leftovers(setup, evidence)));
  violations.push(...(await ends(setup)));
  const own = [...load.unexpected, ...schedule.troubles];
  violations.push(...own.map((text) => ({ rule: 'harness', text: String(text) })));
  const outcome = {
    setup,
    load,
    schedule,
    evidence,
    violations,
    longestSilenceMs: progress.longestSilenceMs,
    replay: replay(settings, kind),
  };
  say(`summary\n${summary(outcome)}`);
  if (violations.length === 0) return undefined;
  writeFileSync(join(setup.dir, 'violations.txt'), `${summary(outcome)}\n\n${explained(outcome)}\n`);
  return explained(outcome, SHOWN_MAX);
}

/** One of each shape; gives their ids. */
async function createPipelines(setup: Setup, client: Client): Promise<Map<string, string>> {
  const pipelines = new Map<string, string>();
  for (const shape of SHAPES) {
    const text = definitionOf(shape, setup.effects);
    const source = shape.inRepository === undefined ? { definition: text } : { repository: repository(setup, text) };
    const { id } = await client.pipelines.create.mutate({ name: shape.name, ...source });
    pipelines.set(shape.name, id);
  }
  return pipelines;
}

function repository(setup: Setup, definition: string): string {
  const dir = join(setup.files, 'repository');
  mkdirSync(dir);
  return new Repository(dir, { '.slipway.yml': definition, number: '1\n' }).url;
}
