import type { Grant, PipelineId, Role } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';

import { trpc } from './client';

/** Who is asking. What the server lets them do, it decides itself; pages offer no more than that. */
export function useMe() {
  return useQuery(trpc.auth.me.queryOptions());
}

/** Whether they are admins of everything, or of this pipeline. */
export function isAdmin(me: { role: Role | null; grants: Grant[] }, pipelineId?: PipelineId): boolean {
  const inPipeline = me.grants.some((grant) => grant.pipelineId === pipelineId && grant.role === 'admin');
  return me.role === 'admin' || inPipeline;
}
