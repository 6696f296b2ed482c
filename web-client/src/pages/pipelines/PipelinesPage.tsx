import type { Pipeline, PipelineStats, RunSummary } from '@slipway/client';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';

import { trpc } from '../../api/client';
import { useMe } from '../../api/me';
import { judgedOf, STATS_RUNS, usePipelineStats } from '../../api/stats';
import { Page } from '../../components/Page';
import { FilterText } from '../../components/filters';
import { Sparkline } from '../../components/Sparkline';
import { Strip } from '../../components/Strip';
import { sorts, type Sort } from '../../search';
import { useText } from '../../text';
import { duration } from '../../text/format';
import { buttonLook } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { StatusIcon } from '../../ui/StatusIcon';
import { Duration, Time } from '../../ui/Time';

const PIPELINES_MAX = 100;
const STRIP_RUNS_NARROW = 14;

export function PipelinesPage() {
  const text = useText();
  const { q, sort = 'activity' } = useSearch({ from: '/pipelines' });
  const navigate = useNavigate({ from: '/pipelines' });
  const list = useQuery(
    trpc.pipelines.list.queryOptions(
      q === undefined ? { limit: PIPELINES_MAX } : { limit: PIPELINES_MAX, search: q },
      { placeholderData: keepPreviousData },
    ),
  );
  const me = useMe();
  // Until it is known who asks, nobody is refused.
  const mayCreate = me === undefined || me.role === 'admin';
  const pipelines = list.data?.items ?? [];
  const stats = usePipelineStats(pipelines.map(({ id }) => id));
  const rows = pipelines.map((pipeline) => ({ pipeline, stats: stats.get(pipeline.id) }));
  const set = (search: { q?: string; sort?: Sort }) => void navigate({ search, replace: true });
  return (
    <Page
      title={text.pipelines.title}
      actions={
        <>
          <FilterText
            label={text.pipelines.filter}
            placeholder={text.pipelines.filter}
            value={q ?? ''}
            isFirst
            onChange={(value) => set({ ...(value === '' ? {} : { q: value }), ...(sort === 'activity' ? {} : { sort }) })}
          />
          <select
            aria-label={text.pipelines.sort}
            className="field w-auto!"
            value={sort}
            onChange={({ target }) => {
              const chosen = sorts.find((each) => each === target.value) ?? 'activity';
              set({ ...(q === undefined ? {} : { q }), ...(chosen === 'activity' ? {} : { sort: chosen }) });
            }}
          >
            {sorts.map((each) => (
              <option key={each} value={each}>
                {text.pipelines.sortBy[each]}
              </option>
            ))}
          </select>
          {mayCreate && (
            <Link to="/welcome" className={buttonLook('primary')}>
              <Plus size={15} aria-hidden />
              {text.pipelines.create}
            </Link>
          )}
        </>
      }
    >
      <Problem error={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={6} height={64} />}
      {list.data !== undefined &&
        (rows.length > 0 ? (
          <ul aria-label={text.pipelines.title} className="divide-y divide-border border-y border-border">
            {sorted(rows, sort).map((row) => (
              <Row key={row.pipeline.id} {...row} />
            ))}
          </ul>
        ) : (
          <Empty
            action={
              q === undefined && mayCreate ? (
                <Link to="/welcome" className={buttonLook('primary')}>
                  {text.pipelines.emptyAction}
                </Link>
              ) : undefined
            }
          >
            {q === undefined ? text.pipelines.empty : text.pipelines.noMatch(q)}
          </Empty>
        ))}
      {list.data?.nextCursor && <p className="py-4 text-center text-text-2">{text.pipelines.many}</p>}
    </Page>
  );
}

interface Row {
  pipeline: Pipeline;
  stats: PipelineStats | undefined;
}

function sorted(rows: Row[], sort: Sort): Row[] {
  if (sort === 'name') return rows;
  const weight = ({ stats }: Row) =>
    sort === 'activity' ? Date.parse(stats?.runs[0]?.createdAt ?? '') || 0 : -(stats?.successRate ?? 2);
  return [...rows].sort((a, b) => weight(b) - weight(a));
}

function Row({ pipeline, stats }: Row) {
  const text = useText();
  const { runs, successRate = null, medianDurationMs = null } = stats ?? {};
  const latest = runs?.[0];
  return (
    <li className="relative grid grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-3 gap-y-2 px-3 py-3 hover:bg-subtle has-focus-visible:bg-subtle lg:grid-cols-[auto_minmax(0,1fr)_auto_4.5rem_5.5rem_5rem]">
      <span className="grid size-4 place-items-center">{latest !== undefined && <StatusIcon status={latest.status} />}</span>
      <div className="min-w-0">
        <Link
          to="/pipelines/$slug"
          params={{ slug: pipeline.name }}
          data-list-row
          className="block truncate text-form font-semibold after:absolute after:inset-0"
        >
          {pipeline.name}
        </Link>
        <div className="truncate text-text-2">
          {latest !== undefined ? <Latest run={latest} /> : runs !== undefined ? text.pipelines.noRuns : '\u00a0'}
        </div>
      </div>
      <div className="col-span-2 col-start-2 row-start-2 lg:col-span-1 lg:col-start-auto lg:row-start-auto">
        <div className="hidden sm:block">{runs !== undefined && <Strip runs={runs} places={STATS_RUNS} />}</div>
        <div className="sm:hidden">{runs !== undefined && <Strip runs={runs} places={STRIP_RUNS_NARROW} />}</div>
      </div>
      <p className="text-right" title={stats === undefined ? undefined : text.pipelines.ofLast(judgedOf(stats))}>
        {successRate !== null && (
          <>
            <span className="text-form font-medium tabular-nums">{Math.round(successRate * 100)} %</span>
            <span className="block text-meta text-text-2">{text.pipelines.success}</span>
          </>
        )}
      </p>
      <p className="hidden text-right lg:block">
        {medianDurationMs !== null && (
          <>
            <span className="text-form tabular-nums">{duration(medianDurationMs, text)}</span>
            <span className="block text-meta text-text-2">{text.pipelines.median}</span>
          </>
        )}
      </p>
      <div className="hidden justify-self-end lg:block">{runs !== undefined && <Sparkline runs={runs} />}</div>
    </li>
  );
}

function Latest({ run }: { run: RunSummary }) {
  const text = useText();
  return (
    <>
      #{run.number} {text.status[run.status]}
      {run.finishedAt === null && run.startedAt !== null ? (
        <>
          {' '}
          <Duration from={run.startedAt} to={null} />
        </>
      ) : null}
      {run.branch !== null && ` · ${run.branch}`} · {run.triggeredBy} · <Time at={run.createdAt} />
    </>
  );
}
