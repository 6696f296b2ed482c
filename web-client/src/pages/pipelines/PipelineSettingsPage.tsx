import type { Pipeline } from '@slipway/client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { useMe } from '../../api/me';
import { AdminsOnly } from '../../components/AdminsOnly';
import { Page } from '../../components/Page';
import { Secrets } from '../../components/Secrets';
import { may } from '../../roles';
import { useText } from '../../text';
import { usePipelineText } from '../../text/pipeline';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Skeleton } from '../../ui/Empty';
import { Field } from '../../ui/Field';
import { SaveFoot } from '../../ui/FormFoot';
import { useFormProblems } from '../../ui/form';
import { Problem } from '../../ui/Problem';
import { RetentionFields, retentionFields, retentionOf } from './RetentionFields';

const fields = ['name', 'description', 'repository', 'defaultBranch', ...retentionFields];

export function PipelineSettingsPage() {
  const text = useText();
  const { slug } = useParams({ from: '/pipelines/$slug/settings' });
  const pipeline = useQuery(trpc.pipelines.get.queryOptions({ pipelineId: slug }));
  const me = useMe();
  const isRefused = me !== undefined && pipeline.data !== undefined && !may(me, 'admin', pipeline.data.id);
  return (
    <Page title={text.pipeline.settings}>
      <Problem error={pipeline.error} onRetry={() => void pipeline.refetch()} />
      {pipeline.isPending && <Skeleton rows={5} height={56} />}
      {isRefused && <AdminsOnly role={me.role} isPipeline />}
      {pipeline.data !== undefined && me !== undefined && !isRefused && (
        <div className="flex flex-col gap-10">
          <Settings key={pipeline.data.id} pipeline={pipeline.data} />
          <PipelineSecrets pipeline={pipeline.data} />
          <Delete pipeline={pipeline.data} />
        </div>
      )}
    </Page>
  );
}

function Settings({ pipeline }: { pipeline: Pipeline }) {
  const { form: words } = usePipelineText();
  const navigate = useNavigate();
  const update = useMutation(
    trpc.pipelines.update.mutationOptions({
      onSuccess: (changed) => {
        queryClient.setQueryData(trpc.pipelines.get.queryKey({ pipelineId: changed.name }), changed);
        void queryClient.invalidateQueries({ queryKey: trpc.pipelines.list.pathKey() });
        if (changed.name !== pipeline.name)
          void navigate({ to: '/pipelines/$slug/settings', params: { slug: changed.name }, replace: true });
      },
    }),
  );
  const problems = useFormProblems(update.error, fields);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const value = (name: string) => String(form.get(name) ?? '').trim() || null;
    update.mutate({
      pipelineId: pipeline.id,
      name: value('name'),
      description: value('description'),
      repository: value('repository'),
      defaultBranch: value('defaultBranch'),
      retention: retentionOf(form),
    });
  };
  return (
    <form ref={problems.form} onSubmit={submit} className="flex max-w-2xl flex-col gap-4">
      <Field label={words.name} hint={words.nameHint} error={problems.of('name')}>
        {(field) => <input {...field} name="name" required maxLength={100} defaultValue={pipeline.name} className="field" />}
      </Field>
      <Field label={words.description} error={problems.of('description')}>
        {(field) => (
          <textarea {...field} name="description" rows={3} defaultValue={pipeline.description ?? ''} className="field" />
        )}
      </Field>
      <Field label={words.repository} hint={words.repositoryHint} error={problems.of('repository')}>
        {(field) => <input {...field} name="repository" defaultValue={pipeline.repository ?? ''} className="field" />}
      </Field>
      <Field label={words.branch} error={problems.of('defaultBranch')}>
        {(field) => <input {...field} name="defaultBranch" defaultValue={pipeline.defaultBranch ?? ''} className="field" />}
      </Field>
      <RetentionFields retention={pipeline.retention} problemOf={problems.of} />
      <Problem error={problems.other} />
      <SaveFoot isBusy={update.isPending} isSaved={update.isSuccess} />
    </form>
  );
}

function PipelineSecrets({ pipeline }: { pipeline: Pipeline }) {
  const { secrets } = useSettingsText();
  return (
    <section className="border-t border-border pt-6">
      <h2 className="text-section">{secrets.title}</h2>
      <Secrets pipelineId={pipeline.id} intro={secrets.pipelineText} />
    </section>
  );
}

function Delete({ pipeline }: { pipeline: Pipeline }) {
  const text = useText();
  const { form: words } = usePipelineText();
  const navigate = useNavigate();
  const [typed, setTyped] = useState('');
  const remove = useMutation(
    trpc.pipelines.delete.mutationOptions({
      onSuccess: () => {
        void queryClient.invalidateQueries({ queryKey: trpc.pipelines.pathKey() });
        void navigate({ to: '/pipelines' });
      },
    }),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === pipeline.name) remove.mutate({ pipelineId: pipeline.id });
  };
  return (
    <section className="border-t border-border pt-6">
      <h2 className="text-section">{words.deleteTitle}</h2>
      <p className="pb-3 text-text-2">{words.deleteText}</p>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field label={words.deleteAsk(pipeline.name)}>
          {(field) => (
            <input
              {...field}
              value={typed}
              autoComplete="off"
              className="field max-w-sm"
              onChange={({ target }) => setTyped(target.value)}
            />
          )}
        </Field>
        <Problem error={remove.error} />
        <div>
          <Button kind="danger" type="submit" disabled={typed !== pipeline.name} isBusy={remove.isPending}>
            {text.actions.delete}
          </Button>
        </div>
      </form>
    </section>
  );
}
