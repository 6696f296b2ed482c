import type { Pipeline } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Plus, X } from 'lucide-react';
import { useState, type FormEvent, type KeyboardEvent } from 'react';

import { trpc } from '../../api/client';
import { explain } from '../../api/errors';
import { learn } from '../../api/runs';
import { useText } from '../../text';
import { usePipelineText } from '../../text/pipeline';
import { Button } from '../../ui/Button';
import { Dialog } from '../../ui/Dialog';
import { Field } from '../../ui/Field';
import { DialogFoot } from '../../ui/FormFoot';
import { Problem } from '../../ui/Problem';

interface Input {
  key: number;
  name: string;
  value: string;
}

export function TriggerDialog({ pipeline, onClose }: { pipeline: Pipeline; onClose: () => void }) {
  const text = useText();
  const navigate = useNavigate();
  const [branch, setBranch] = useState('');
  const [inputs, setInputs] = useState<Input[]>([]);
  const trigger = useMutation(
    trpc.pipelines.trigger.mutationOptions({
      onSuccess: (run) => {
        learn(run);
        void navigate({
          to: '/pipelines/$slug/runs/$number',
          params: { slug: run.pipelineName, number: String(run.number) },
        });
      },
    }),
  );
  const failure = trigger.error === null ? null : explain(trigger.error, text);
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (trigger.isPending) return;
    const named = inputs.filter(({ name }) => name.trim() !== '');
    trigger.mutate({
      pipelineId: pipeline.id,
      branch: branch.trim() || null,
      inputs: Object.fromEntries(named.map(({ name, value }) => [name.trim(), value])),
    });
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) submit();
  };
  const change = (key: number, part: Partial<Input>) =>
    setInputs((all) => all.map((input) => (input.key === key ? { ...input, ...part } : input)));
  const { trigger: words } = usePipelineText();
  return (
    <Dialog title={words.title(pipeline.name)} onClose={onClose}>
      <form onSubmit={submit} onKeyDown={press} className="flex flex-col gap-4 p-4">
        <Field label={words.branch} error={failure?.field === 'branch' ? failure.words : null}>
          {(field) => (
            <input
              {...field}
              className="field"
              value={branch}
              autoComplete="off"
              placeholder={pipeline.defaultBranch === null ? '' : words.defaultBranch(pipeline.defaultBranch)}
              onChange={({ target }) => setBranch(target.value)}
            />
          )}
        </Field>
        <fieldset className="flex flex-col gap-2">
          <legend className="pb-1 font-medium">{words.inputs}</legend>
          {inputs.map(({ key, name, value }) => (
            <div key={key} className="flex gap-2">
              <input
                aria-label={words.inputName}
                placeholder={words.inputName}
                className="field max-w-40"
                value={name}
                autoFocus
                pattern="[A-Za-z0-9_]+"
                onChange={({ target }) => change(key, { name: target.value })}
              />
              <input
                aria-label={words.inputValue}
                placeholder={words.inputValue}
                className="field"
                value={value}
                onChange={({ target }) => change(key, { value: target.value })}
              />
              <Button
                kind="quiet"
                icon={<X size={15} />}
                aria-label={words.removeInput(name)}
                onClick={() => setInputs((all) => all.filter((input) => input.key !== key))}
              />
            </div>
          ))}
          <div className="flex flex-wrap items-center justify-between gap-2">
            <Button
              kind="quiet"
              icon={<Plus size={14} />}
              onClick={() => setInputs((all) => [...all, { key: (all.at(-1)?.key ?? 0) + 1, name: '', value: '' }])}
            >
              {words.addInput}
            </Button>
            {inputs.length > 0 && <p className="text-meta text-text-2">{words.hint}</p>}
          </div>
        </fieldset>
        {failure !== null && failure.field !== 'branch' && <Problem error={trigger.error} />}
        <DialogFoot action={words.submit} isBusy={trigger.isPending} onClose={onClose} />
      </form>
    </Dialog>
  );
}
