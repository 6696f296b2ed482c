import type { Me, Run } from '@slipway/client';

import { isRefused } from '../roles';
import { isLive } from './status';

/** Why something cannot be done to a run: who asks, where it stands, or that its log was purged. */
export type Refusal = 'role' | 'status' | 'purged';

type Standing = Pick<Run, 'status' | 'logPurgedAt' | 'pipelineId'>;

/** Why the server would refuse to cancel it, or have nothing to do; null: it would not. */
export function noCancel({ status, pipelineId }: Standing, me: Me | undefined): Refusal | null {
  if (!isLive(status) || status === 'canceling') return 'status';
  return isRefused(me, 'operator', pipelineId) ? 'role' : null;
}

/** Why the server would refuse to try it again; null: it would not. */
export function noRetry({ status, logPurgedAt, pipelineId }: Standing, me: Me | undefined): Refusal | null {
  if (isLive(status)) return 'status';
  if (isRefused(me, 'operator', pipelineId)) return 'role';
  return logPurgedAt === null ? null : 'purged';
}
