import type { Random } from './random.js';
import { inputsOf, SHAPES, type Shape } from './shapes.js';

/** Between two triggers, on average. */
const TRIGGER_GAP_MS = 700;

/** A log subscriber of a run. */
export interface SubscriberPlan {
  /** As soon as the run is known, so long after, or once it has ended. */
  joins: { afterMs: number } | 'ended';
  /** Leaves so long after it has joined, for so long. */
  leaves?: { afterMs: number; forMs: number };
}

/** What the load does with one run. Times are from its acceptance, if nothing else is said. */
export interface RunPlan {
  /** Since the load began. */
  atMs: number;
  key: string;
  shape: Shape;
  inputs: Record<string, string>;
  /** The trigger is repeated although it was answered, as by somebody whom the answer did not reach. */
  isRepeated: boolean;
  subscribers: SubscriberPlan[];
  /** When `watchRun` subscribers join. */
  watchers: number[];
  cancelAfterMs?: number;
  /** Once it has ended, tried again from there. */
  retryFrom?: 'start' | 'failed';
}

/** All triggers of a load, in order: more than there will be time for is no harm. */
export function drawLoad(random: Random, durationMs: number): RunPlan[] {
  const bag = SHAPES.flatMap((shape) => Array.from({ length: shape.weight }, () => shape));
  // So long that a slow step outlives several faults, and not the schedule.
  const slowLinesMax = Math.min(500, durationMs / 200);
  const plans: RunPlan[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += random.gap(TRIGGER_GAP_MS)) {
    const shape = random.pick(bag);
    plans.push({
      atMs,
      key: `run-${plans.length}-${random.integer(0, 1e9)}`,
      shape,
      inputs: inputsOf(shape, random, slowLinesMax),
      isRepeated: random.chance(0.25),
      subscribers: Array.from({ length: random.pick([0, 1, 1, 1, 2]) }, () => drawSubscriber(random)),
      watchers: Array.from({ length: random.pick([0, 0, 1]) }, () => random.pick([0, 500, 3_000])),
      ...(random.chance(shape.cancels) ? { cancelAfterMs: random.pick([0, random.between(0, 4_000)]) } : {}),
      ...(random.chance(0.15) ? { retryFrom: random.pick(['start', 'failed'] as const) } : {}),
    });
  }
  return plans;
}

function drawSubscriber(random: Random): SubscriberPlan {
  const amid = { afterMs: random.between(500, 6_000) };
  const joins = random.pick([{ afterMs: 0 }, { afterMs: 0 }, amid, 'ended'] as const);
  if (joins === 'ended' || !random.chance(0.3)) return { joins };
  return { joins, leaves: { afterMs: random.between(300, 4_000), forMs: random.between(0, 4_000) } };
}
