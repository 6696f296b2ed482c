import type { LogLine, RunState } from '@slipway/client';

import type { RunPlan } from './plan.js';

/** What is compared of a line: all but its id, whose epoch may change. */
export type Line = Omit<LogLine, 'id'>;

/** One subscription to a log, from its call to its end. */
export interface Sitting {
  /** The number of the last line before it. */
  after: number;
  ids: string[];
  lines: Line[];
  /** The server has said that it is over. */
  isComplete: boolean;
  /** It was refused for good. */
  refusal?: string;
}

/** What was seen of a run when it was read or watched, in order. */
export interface Sighting {
  /** When it was known; where it was asked for, also when that was. */
  atMs: number;
  askedMs?: number;
  status: RunState['status'];
  attempt: number;
  version: number;
  progress: number;
  lines: number;
}

/** That an answer to a cancel said that the run was to be canceled, or was. */
export interface Accepted {
  askedMs: number;
  attempt: number;
}

/** All that the load did with a run and saw of it. */
export class RunHistory {
  runId: string | undefined;
  /** Whatever was answered to its trigger, where that was not the same each time. */
  readonly otherIds = new Set<string>();
  /** In words, for people. */
  readonly words: string[] = [];
  readonly subscribers: Sitting[][] = [];
  readonly watchers: Sighting[][] = [];
  /** By reading the run again and again. */
  readonly readings: Sighting[] = [];
  /** Each time that it was found ended. */
  readonly endings: Sighting[] = [];
  readonly cancels: Accepted[] = [];
  /** Asked for, answered or not. */
  cancelsAsked = 0;
  retriesAsked = 0;
  /** Procedures that were refused in a way that no fault explains. */
  readonly refusals: string[] = [];
  /** It was accepted, and is not there: nothing more is to be expected of it. */
  isLost = false;

  constructor(
    readonly plan: RunPlan,
    readonly startedMs: number,
  ) {}

  say(text: string): void {
    this.words.push(`${((Date.now() - this.startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  }

  lose(refusal: string): void {
    if (this.isLost) return;
    this.isLost = true;
    this.refusals.push(refusal);
    this.say(refusal);
  }

  get lastReading(): Sighting | undefined {
    return this.readings.at(-1);
  }
}

export function isEnded(status: RunState['status']): boolean {
  return ['succeeded', 'failed', 'canceled', 'timed_out'].includes(status);
}

export function sighting(run: {
  status: RunState['status'];
  attempt: number;
  version: number;
  progress: number;
  lines: number;
}): Sighting {
  const { status, attempt, version, progress, lines } = run;
  return { atMs: Date.now(), status, attempt, version, progress, lines };
}
