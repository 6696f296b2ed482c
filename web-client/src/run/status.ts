import type { RunStatus } from '@slipway/client';

const LIVE: readonly RunStatus[] = ['queued', 'waiting', 'running', 'canceling'];

/** Something is still to come of it. */
export function isLive(status: RunStatus): boolean {
  return LIVE.includes(status);
}
