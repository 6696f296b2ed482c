import { isClientError } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Play } from 'lucide-react';
import { lazy, Suspense, useState, type FormEvent } from 'react';

import { client, queryClient, trpc } from '../../api/client';
import { explain } from '../../api/errors';
import { learn } from '../../api/runs';
import { Page } from '../../components/Page';
import { samples } from '../../components/samples';
import { useText } from '../../text';
import { usePipelineText } from '../../text/pipeline';
import { useWelcomeText } from '../../text/welcome';
import { Button } from '../../ui/Button';
import { Field } from '../../ui/Field';
import { Problem } from '../../ui/Problem';

const Editor = lazy(() => import('../../editor/Editor').then(({ Editor }) => ({ default: Editor })));

type Sample = keyof typeof samples | 'repository';

const NAMES_MAX = 20;

/** From nothing to a run: a pipeline that needs no repository and no network, and one button. */
export function WelcomePage() {
  const text = useText();
  const welcome = useWelcomeText();
  const { form } = usePipelineText();
  const navigate = useNavigate();
  const [sample, setSample] = useState<Sample>('hello');
  const [name, setName] = useState('');
  const [repository, setRepository] = useState('');
  const [definition, setDefinition] = useState<string>(samples.hello);
  const isRepository = sample === 'repository';
  const make = useMutation({
    mutationFn: async () => {
      const pipeline = await create(name.trim(), {
        repository: isRepository ? repository.trim() : null,
        definition: isRepository ? null : definition,
        sample,
      });
      return await client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
    },
    onSuccess: (run) => {
      void queryClient.invalidateQueries({ queryKey: trpc.pipelines.pathKey() });
      learn(run);
      void navigate({
        to: '/pipelines/$slug/runs/$number',
        params: { slug: run.pipelineName, number: String(run.number) },
      });
    },
  });
  const choose = (next: Sample) => {
    setSample(next);
    if (next !== 'repository') setDefinition(samples[next]);
  };
  const failure = make.error === null ? null : explain(make.error, text);
  const isOfField = failure !== null && (failure.field === 'name' || failure.field === 'repository');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!make.isPending) make.mutate();
  };
  return (
    <Page title={text.welcome.title}>
      <form onSubmit={submit} className="flex max-w-3xl flex-col gap-5">
        <p className="text-form text-text-2">{welcome.text}</p>
        <fieldset>
          <legend className="pb-1.5 font-medium">{welcome.choose}</legend>
          <div className="flex flex-wrap gap-2">
            {(['hello', 'parallel', 'repository'] as const).map((each) => (
              <label
                key={each}
                className={`flex h-9 cursor-pointer items-center gap-2 rounded-control border px-3 has-focus-visible:outline-2 has-focus-visible:outline-accent ${each === sample ? 'border-accent bg-muted font-medium' : 'border-control hover:bg-subtle'}`}
              >
                <input
                  type="radio"
                  name="sample"
                  className="accent-(--accent)"
                  checked={each === sample}
                  onChange={() => choose(each)}
                />
                {welcome.samples[each]}
              </label>
            ))}
          </div>
        </fieldset>
        <Field label={welcome.name} hint={form.nameHint} error={failure?.field === 'name' ? failure.words : null}>
          {(field) => (
            <input
              {...field}
              className="field max-w-sm"
              autoComplete="off"
              maxLength={100}
              placeholder={sample}
              value={name}
              onChange={({ target }) => setName(target.value)}
            />
          )}
        </Field>
        {isRepository ? (
          <Field
            label={form.repository}
            hint={text.pipeline.inRepository}
            error={failure?.field === 'repository' ? failure.words : null}
          >
            {(field) => (
              <input
                {...field}
                required
                className="field"
                placeholder="https://…"
                value={repository}
                onChange={({ target }) => setRepository(target.value)}
              />
            )}
          </Field>
        ) : (
          <div className="h-72 overflow-hidden rounded-card border border-border">
            <Suspense fallback={<pre className="h-full overflow-auto p-3 pl-12 text-body">{definition}</pre>}>
              <Editor key={sample} value={definition} onChange={setDefinition} />
            </Suspense>
          </div>
        )}
        {failure !== null && !isOfField && <Problem error={make.error} />}
        <div>
          <Button kind="primary" type="submit" isBusy={make.isPending} icon={<Play size={14} aria-hidden />}>
            {welcome.run}
          </Button>
        </div>
        <section className="border-t border-border pt-5">
          <h2>{welcome.next}</h2>
          <p className="pb-2 text-text-2">{welcome.nextText}</p>
          <pre className="rounded-card bg-subtle p-3 text-body wrap-anywhere whitespace-pre-wrap">
            {`import { createClient } from '@slipway/client';
const slipway = createClient({ url: '${window.location.origin}', token });
const run = await slipway.pipelines.trigger.mutate({ pipelineId: '${name.trim() || sample}' });`}
          </pre>
        </section>
      </form>
    </Page>
  );
}

interface Wanted {
  repository: string | null;
  definition: string | null;
  sample: Sample;
}

/** Under the given name, or the next free one of the sample's. */
async function create(name: string, { repository, definition, sample }: Wanted) {
  for (let n = 1; ; n += 1) {
    const tried = name !== '' ? name : n === 1 ? sample : `${sample}-${n}`;
    try {
      return await client.pipelines.create.mutate({ name: tried, repository, definition });
    } catch (error) {
      const isTaken = isClientError(error) && error.data?.code === 'CONFLICT';
      if (!isTaken || name !== '' || n >= NAMES_MAX) throw error;
    }
  }
}
