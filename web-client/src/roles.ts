import type { Me, Role } from '@slipway/client';

/** Each may what those before it may. */
export const roles: readonly Role[] = ['viewer', 'operator', 'admin'];

export function roleOf(value: FormDataEntryValue | null): Role | null {
  return roles.find((role) => role === value) ?? null;
}

/** Whether somebody may do what needs a role, in a pipeline, or in any where none is named. */
export function may(me: Me | undefined, needed: Role, pipelineId?: string): boolean {
  if (me === undefined) return false;
  const granted = me.grants.filter((grant) => pipelineId === undefined || grant.pipelineId === pipelineId).map(({ role }) => role);
  return [me.role, ...granted].some((role) => role !== null && roles.indexOf(needed) <= roles.indexOf(role));
}

/** Whether somebody may not. Until it is known who asks, nobody is refused. */
export function isRefused(me: Me | undefined, needed: Role, pipelineId?: string): boolean {
  return me !== undefined && !may(me, needed, pipelineId);
}
