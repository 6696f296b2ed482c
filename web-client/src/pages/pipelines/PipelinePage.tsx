import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { FileCode2, Play, Settings } from 'lucide-react';
import { lazy, Suspense } from 'react';

import { trpc } from '../../api/client';
import { isNotFound } from '../../api/errors';
import { useMe } from '../../api/me';
import { judgedOf, STATS_RUNS, usePipelineStats } from '../../api/stats';
import { Page } from '../../components/Page';
import { RunsView } from '../../components/RunsView';
import { Strip } from '../../components/Strip';
import { useShortcuts } from '../../keys';
import { isRefused } from '../../roles';
import { useText } from '../../text';
import { duration } from '../../text/format';
import { Button, buttonLook } from '../../ui/Button';
import { Empty } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

const TriggerDialog = lazy(() => import('./TriggerDialog').then(({ TriggerDialog }) => ({ default: TriggerDialog })));

export function PipelinePage() {
  const text = useText();
  const { slug } = useParams({ from: '/pipelines/$slug' });
  const search = useSearch({ from: '/pipelines/$slug' });
  const navigate = useNavigate({ from: '/pipelines/$slug' });
  const pipeline = useQuery(trpc.pipelines.get.queryOptions({ pipelineId: slug }));
  const id = pipeline.data?.id;
  const stats = usePipelineStats(id === undefined ? [] : [id]).get(id ?? '');
  const me = useMe();
  const mayTrigger = id === undefined || !isRefused(me, 'operator', id);
  const { trigger, ...filters } = search;
  const ask = (isOpen: boolean) =>
    void navigate({ search: isOpen ? { ...filters, trigger: 1 } : filters, replace: !isOpen });
  useShortcuts(mayTrigger ? { t: () => ask(true) } : {});
  if (isNotFound(pipeline.error)) return <Empty>{text.pipeline.gone}</Empty>;
  return (
    <Page
      title={slug}
      actions={
        <>
          <Link to="/pipelines/$slug/definition" params={{ slug }} className={buttonLook()}>
            <FileCode2 size={15} aria-hidden />
            {text.pipeline.definition}
          </Link>
          <Link to="/pipelines/$slug/settings" params={{ slug }} className={buttonLook()}>
            <Settings size={15} aria-hidden />
            {text.pipeline.settings}
          </Link>
          <Button
            kind="primary"
            icon={<Play size={14} aria-hidden />}
            disabled={!mayTrigger}
            title={mayTrigger ? 't' : text.errors.forbidden}
            onClick={() => ask(true)}
          >
            {text.pipeline.trigger}
          </Button>
        </>
      }
    >
      {pipeline.data?.description && <p className="-mt-3 pb-4 text-text-2 wrap-anywhere">{pipeline.data.description}</p>}
      <Problem error={pipeline.error} onRetry={() => void pipeline.refetch()} />
      {stats !== undefined && stats.runs.length > 0 && (
        <div className="mb-4 flex flex-wrap items-end gap-x-8 gap-y-3 rounded-card bg-subtle px-4 py-3">
          <Strip runs={stats.runs} places={STATS_RUNS} />
          {stats.successRate !== null && (
            <Figure
              label={`${text.pipelines.success}, ${text.pipelines.ofLast(judgedOf(stats))}`}
              value={`${Math.round(stats.successRate * 100)} %`}
            />
          )}
          {stats.medianDurationMs !== null && (
            <Figure label={text.pipelines.median} value={duration(stats.medianDurationMs, text)} />
          )}
        </div>
      )}
      <RunsView
        pipeline={slug}
        search={filters}
        onSearch={(next) => void navigate({ search: next, replace: true })}
        empty={
          mayTrigger && (
            <Button kind="primary" onClick={() => ask(true)}>
              {text.pipeline.trigger}
            </Button>
          )
        }
      />
      <Suspense fallback={null}>
        {trigger === 1 && pipeline.data !== undefined && mayTrigger && (
          <TriggerDialog pipeline={pipeline.data} onClose={() => ask(false)} />
        )}
      </Suspense>
    </Page>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <p>
      <span className="block text-section font-semibold tabular-nums">{value}</span>
      <span className="text-meta text-text-2">{label}</span>
    </p>
  );
}
