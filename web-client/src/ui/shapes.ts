import type { RunStatus, StepStatus } from '@slipway/client';

export type Status = RunStatus | StepStatus;

/** How each status looks on a grid of 16: a form of its own, so that none is told by its colour alone. */
export interface Shape {
  /** The name of its colour, as in `var(--failed)`. */
  colour: 'queued' | 'waiting' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'timed-out';
  /** Filled with its colour. */
  fill?: string;
  /** Drawn in its colour. */
  line?: string;
  /** Drawn in the colour of the ground, over what is filled. */
  sign?: string;
  /** Drawn in its colour, and turning. */
  turning?: string;
}

const RING = 'M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 1 1 0-12.5z';
const DISC = 'M8 1a7 7 0 1 1 0 14a7 7 0 1 1 0-14z';
const ARC = 'M8 1.75a6.25 6.25 0 1 1-6.25 6.25';
const OCTAGON = 'M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z';
const TRIANGLE = 'M8 1.2l7.2 13.3H.8z';

export const shapes: Record<Status, Shape> = {
  queued: { colour: 'queued', line: RING },
  pending: { colour: 'queued', line: RING },
  waiting: { colour: 'waiting', line: `${RING}M8 4.5V8l2.5 1.8` },
  running: { colour: 'running', turning: ARC, fill: 'M8 5.2a2.8 2.8 0 1 1 0 5.6a2.8 2.8 0 1 1 0-5.6z' },
  canceling: { colour: 'canceled', turning: ARC, fill: 'M5.5 5.5h5v5h-5z' },
  succeeded: { colour: 'succeeded', fill: DISC, sign: 'M4.8 8.3l2.2 2.2l4.3-4.7' },
  failed: { colour: 'failed', fill: OCTAGON, sign: 'M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2' },
  lost: { colour: 'failed', line: OCTAGON, fill: 'M7.1 4h1.8v5H7.1zM7.1 10.3h1.8v1.8H7.1z' },
  canceled: { colour: 'canceled', line: `${RING}M3.6 12.4l8.8-8.8` },
  skipped: { colour: 'canceled', line: `${RING}M5 8h6` },
  timed_out: { colour: 'timed-out', fill: TRIANGLE, sign: 'M8 6v4M8 11.6v.9' },
};
