import './secrets.css';

import type { PipelineId, SecretInfo } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../api/client';
import { useSettingsText } from '../text/settings';
import { Dialog } from '../ui/Dialog';
import { Field } from '../ui/Field';
import { DialogFoot } from '../ui/FormFoot';
import { useFormProblems } from '../ui/form';
import { Problem } from '../ui/Problem';

const fields = ['name', 'value', 'description', 'branches', 'allowUntrusted'];

interface Props {
  pipelineId: PipelineId | null;
  /** What is replaced; none: a new one. */
  secret?: SecretInfo;
  onClose: () => void;
  onStored: (name: string) => void;
}

/** The value is nowhere but in its field, and on its way to the server. */
export function SetSecret({ pipelineId, secret, onClose, onStored }: Props) {
  const { secrets: words } = useSettingsText();
  const [isShown, setShown] = useState(false);
  const set = useMutation(
    trpc.secrets.set.mutationOptions({
      // A mutation remembers what it was given for as long as it is kept.
      gcTime: 0,
      onSuccess: ({ name }) => {
        void queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
        onStored(name);
      },
    }),
  );
  const problems = useFormProblems(set.error, fields);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const lines = String(form.get('branches')).split('\n');
    set.mutate({
      name: secret?.name ?? String(form.get('name')).trim(),
      pipelineId,
      // Browsers put a carriage return before each line end of a form.
      value: String(form.get('value')).replaceAll('\r\n', '\n'),
      description: String(form.get('description')).trim() || null,
      branches: lines.map((line) => line.trim()).filter((line) => line !== ''),
      allowUntrusted: form.has('allowUntrusted'),
    });
  };
  return (
    <Dialog title={secret === undefined ? words.create : words.replaceOne(secret.name)} onClose={onClose}>
      <form ref={problems.form} onSubmit={submit} autoComplete="off" className="flex flex-col gap-4 p-4">
        {secret === undefined && (
          <Field label={words.name} hint={words.nameHint} error={problems.of('name')}>
            {(field) => (
              <input {...field} name="name" required maxLength={100} autoCapitalize="characters" spellCheck={false} className="field font-mono" />
            )}
          </Field>
        )}
        <div className="flex flex-col gap-2">
          <Field label={words.value} hint={secret === undefined ? words.valueHint : words.replaceHint} error={problems.of('value')}>
            {(field) => (
              <textarea
                {...field}
                name="value"
                required
                rows={4}
                spellCheck={false}
                autoCapitalize="none"
                className={`field font-mono ${isShown ? '' : 'masked'}`}
              />
            )}
          </Field>
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              className="accent-(--accent)"
              checked={isShown}
              onChange={({ target }) => setShown(target.checked)}
            />
            {words.show}
          </label>
        </div>
        <Field label={words.description} error={problems.of('description')}>
          {(field) => (
            <textarea {...field} name="description" rows={2} maxLength={2000} defaultValue={secret?.description ?? ''} className="field" />
          )}
        </Field>
        <Field label={words.branches} hint={words.branchesHint} error={problems.of('branches')}>
          {(field) => (
            <textarea {...field} name="branches" rows={2} spellCheck={false} defaultValue={secret?.branches.join('\n')} className="field font-mono" />
          )}
        </Field>
        <div>
          <label className="flex items-center gap-2">
            <input type="checkbox" name="allowUntrusted" defaultChecked={secret?.allowUntrusted} className="accent-(--accent)" />
            {words.untrustedLabel}
          </label>
          <p className="text-meta text-text-2">{words.untrustedHint}</p>
        </div>
        <Problem error={problems.other} />
        <DialogFoot action={words.set} isBusy={set.isPending} onClose={onClose} />
      </form>
    </Dialog>
  );
}
