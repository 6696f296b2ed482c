import type { Me, Role } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';

import { trpc } from './client';

const ranks: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

/** Who is signed in, and whether that is known. What is shown follows it, what is allowed the server decides. */
export function useMeQuery() {
  return useQuery(trpc.auth.me.queryOptions());
}

/** Who is signed in; undefined until that is known. */
export function useMe(): Me | undefined {
  return useMeQuery().data;
}

/** Whether somebody may do what needs a role, in a pipeline, or in any where none is named. */
export function may(me: Me | undefined, needed: Role, pipelineId?: string): boolean {
  if (me === undefined) return false;
  const roles = me.grants.filter((grant) => pipelineId === undefined || grant.pipelineId === pipelineId).map(({ role }) => role);
  return [me.role, ...roles].some((role) => role !== null && ranks[needed] <= ranks[role]);
}
