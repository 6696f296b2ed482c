import type { Grant, Person } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';

import { trpc } from '../../api/client';
import { RoleOptions } from '../../components/RoleOptions';
import { roleOf } from '../../roles';
import { useSettingsText } from '../../text/settings';
import { Field } from '../../ui/Field';
import { GrantsField } from './GrantsField';

export const personFields = ['login', 'name', 'email', 'password', 'role', 'grants', 'subject'];

interface Props {
  /** Who is changed; none: somebody new. */
  person?: Person;
  isOwn?: boolean;
  grants: readonly Grant[];
  onGrants: (grants: Grant[]) => void;
  problemOf: (field: string) => string | null;
}

/** What is said of a person, but for what they sign in with. */
export function PersonFields({ person, isOwn = false, grants, onGrants, problemOf }: Props) {
  const { people } = useSettingsText();
  const { data: ways } = useQuery(trpc.auth.ways.queryOptions());
  return (
    <>
      <Field label={people.name} hint={person === undefined ? people.nameHint : undefined} error={problemOf('name')}>
        {(field) => (
          <input
            {...field}
            name="name"
            required={person !== undefined}
            maxLength={100}
            autoComplete="off"
            defaultValue={person?.name}
            className="field"
          />
        )}
      </Field>
      <Field label={people.email} error={problemOf('email')}>
        {(field) => (
          <input
            {...field}
            name="email"
            type="email"
            maxLength={254}
            autoComplete="off"
            defaultValue={person?.email ?? ''}
            className="field"
          />
        )}
      </Field>
      {(person?.identity ?? ways?.oidc ?? null) !== null && (
        <Field label={people.subject} hint={people.subjectHint} error={problemOf('subject')}>
          {(field) => (
            <input
              {...field}
              name="subject"
              maxLength={255}
              autoComplete="off"
              defaultValue={person?.identity?.subject ?? ''}
              className="field"
            />
          )}
        </Field>
      )}
      <Field label={people.role} hint={isOwn ? people.ownRole : people.roleHint} error={problemOf('role')}>
        {(field) => (
          <select {...field} name="role" disabled={isOwn} defaultValue={person === undefined ? 'viewer' : (person.role ?? '')} className="field">
            <option value="">{people.noRole}</option>
            <RoleOptions />
          </select>
        )}
      </Field>
      <GrantsField grants={grants} onChange={onGrants} error={problemOf('grants')} />
    </>
  );
}

/** What the fields hold; empty ones hold nothing. */
export function personOf(form: HTMLFormElement) {
  const data = new FormData(form);
  const value = (name: string) => String(data.get(name) ?? '').trim() || null;
  return {
    name: value('name'),
    email: value('email'),
    role: roleOf(data.get('role')),
    ...(data.has('subject') ? { subject: value('subject') } : {}),
  };
}
