import type { RunDetails } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';

import { queryClient, trpc } from '../api/client';
import { learn } from '../api/runs';
import { useText } from '../text';
import { useRemovalText } from '../text/removal';
import { Button } from '../ui/Button';

const Confirm = lazy(() => import('../ui/Confirm').then(({ Confirm }) => ({ default: Confirm })));

/** What takes a run that has ended, or its log, away for good. */
export function Removal({ run }: { run: RunDetails }) {
  const text = useText();
  const words = useRemovalText();
  const navigate = useNavigate();
  const [asked, setAsked] = useState<'log' | 'run' | null>(null);
  const purge = useMutation(
    trpc.runs.purgeLog.mutationOptions({
      onSuccess: (purged) => {
        learn(purged);
        setAsked(null);
      },
    }),
  );
  const remove = useMutation(
    trpc.runs.delete.mutationOptions({
      onSuccess: async () => {
        await navigate({ to: '/pipelines/$slug', params: { slug: run.pipelineName } });
        queryClient.removeQueries({ queryKey: trpc.runs.get.queryKey({ runId: run.id }) });
        void queryClient.invalidateQueries({ queryKey: trpc.runs.list.pathKey() });
      },
    }),
  );
  const name = text.run.title(run.pipelineName, run.number);
  const deeds = { log: purge, run: remove };
  return (
    <section className="flex flex-col gap-3 border-t border-border pt-4">
      <h2>{words.title}</h2>
      {(['log', 'run'] as const).map(
        (each) =>
          (each === 'run' || run.logPurgedAt === null) && (
            <div key={each} className="flex flex-col items-start gap-1.5">
              <p className="text-text-2">{words[each].text}</p>
              <Button
                kind="danger"
                onClick={() => {
                  deeds[each].reset();
                  setAsked(each);
                }}
              >
                {words[each].title}
              </Button>
            </div>
          ),
      )}
      <Suspense fallback={null}>
        {asked !== null && (
          <Confirm
            title={words[asked].title}
            ask={words[asked].ask(name)}
            action={words[asked].title}
            error={deeds[asked].error}
            isBusy={deeds[asked].isPending}
            onConfirm={() => deeds[asked].mutate({ runId: run.id })}
            onClose={() => setAsked(null)}
          />
        )}
      </Suspense>
    </section>
  );
}
