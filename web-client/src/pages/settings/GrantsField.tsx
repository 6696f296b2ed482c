import type { Grant, PipelineId, Role } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useId, useRef, useState, type KeyboardEvent } from 'react';

import { trpc } from '../../api/client';
import { usePipelineName } from '../../components/PipelineName';
import { roles } from '../../roles';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { useDebounced } from '../../ui/debounced';
import { Field } from '../../ui/Field';

const OFFERED_MAX = 20;

interface Props {
  grants: readonly Grant[];
  onChange: (grants: Grant[]) => void;
  error: string | null;
}

/** Roles in single pipelines, which are found by their names. */
export function GrantsField({ grants, onChange, error }: Props) {
  const { people } = useSettingsText();
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="pb-1 font-medium">{people.grants}</legend>
      {grants.map((grant) => (
        <GrantRow
          key={grant.pipelineId}
          grant={grant}
          onRole={(role) =>
            onChange(grants.map((each) => (each.pipelineId === grant.pipelineId ? { ...each, role } : each)))
          }
          onRemove={() => onChange(grants.filter((each) => each.pipelineId !== grant.pipelineId))}
        />
      ))}
      <AddGrant
        error={error}
        onAdd={(pipelineId) => {
          if (!grants.some((each) => each.pipelineId === pipelineId)) onChange([...grants, { pipelineId, role: 'viewer' }]);
        }}
      />
    </fieldset>
  );
}

interface RowProps {
  grant: Grant;
  onRole: (role: Role) => void;
  onRemove: () => void;
}

function GrantRow({ grant: { pipelineId, role }, onRole, onRemove }: RowProps) {
  const { people, account } = useSettingsText();
  const { name, isGone } = usePipelineName(pipelineId);
  const shown = isGone ? account.deletedPipeline : (name ?? pipelineId);
  return (
    <div className="flex items-center gap-2">
      <span className={`min-w-0 flex-1 wrap-anywhere ${isGone ? 'text-text-2' : 'font-medium'}`}>{shown}</span>
      <select
        aria-label={people.roleIn(shown)}
        className="field w-auto!"
        value={role}
        onChange={({ target }) => onRole(roles.find((each) => each === target.value) ?? role)}
      >
        {roles.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <Button kind="quiet" aria-label={people.removeGrant(shown)} icon={<X size={15} aria-hidden />} onClick={onRemove} />
    </div>
  );
}

function AddGrant({ onAdd, error }: { onAdd: (pipelineId: PipelineId) => void; error: string | null }) {
  const { people } = useSettingsText();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState('');
  const [search, setSearch] = useState('');
  const { shown, setShown } = useDebounced(typed, setSearch);
  const [missing, setMissing] = useState<string | null>(null);
  const { data } = useQuery(
    trpc.pipelines.list.queryOptions(
      { limit: OFFERED_MAX, ...(search === '' ? {} : { search }) },
      { placeholderData: (before) => before },
    ),
  );
  const offered = data?.items ?? [];
  const add = () => {
    const name = shown.trim();
    if (name === '') return;
    const found = offered.find((pipeline) => pipeline.name === name);
    setMissing(found === undefined ? name : null);
    if (found !== undefined) {
      onAdd(found.id);
      setTyped('');
      setShown('');
    }
    input.current?.focus();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || shown.trim() === '') return;
    // It adds what is typed; the form is sent by the next.
    event.preventDefault();
    add();
  };
  return (
    <div className="flex items-start gap-2">
      <div className="min-w-0 flex-1">
        <Field
          label={people.addGrant}
          hint={people.grantsHint}
          error={error ?? (missing === null ? null : people.noSuchPipeline(missing))}
        >
          {(field) => (
            <input
              {...field}
              ref={input}
              list={id}
              autoComplete="off"
              maxLength={100}
              className="field"
              value={shown}
              onChange={({ target }) => setShown(target.value)}
              onKeyDown={press}
            />
          )}
        </Field>
        <datalist id={id}>
          {offered.map(({ id: key, name }) => (
            <option key={key} value={name} />
          ))}
        </datalist>
      </div>
      <Button className="mt-6" onClick={add} aria-label={`${people.add}: ${people.grants}`}>
        {people.add}
      </Button>
    </div>
  );
}
