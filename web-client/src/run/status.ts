import type { RunStatus, StepStatus } from '@slipway/client';

const LIVE: readonly RunStatus[] = ['queued', 'waiting', 'running', 'canceling'];

/** Something is still to come of it. */
export function isLive(status: RunStatus): boolean {
  return LIVE.includes(status);
}

/** The attempt of a step ended otherwise than somebody wanted. */
export function wentWrong(status: RunStatus | StepStatus): boolean {
  return status === 'failed' || status === 'timed_out' || status === 'lost';
}
