import type { Role } from '@slipway/client';

/** Each may what those before it may. */
export const roles: readonly Role[] = ['viewer', 'operator', 'admin'];

export function roleOf(value: FormDataEntryValue | null): Role | null {
  return roles.find((role) => role === value) ?? null;
}
