import type { Pipeline, Run } from '@slipway/client';
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';

import { trpc } from '../../api/client';
import { useLiveRun } from '../../api/runs';
import { Page } from '../../components/Page';
import { FilterText } from '../../components/RunsView';
import { Strip } from '../../components/Strip';
import { statsOf } from '../../components/stats';
import { sorts, type Sort } from '../../search';
import { useText } from '../../text';
import { duration } from '../../text/format';
import { buttonLook } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { StatusIcon } from '../../ui/StatusIcon';
import { Duration, Time } from '../../ui/Time';

const PIPELINES_MAX = 100;
const STRIP_RUNS = 30;
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
  const pipelines = list.data?.items ?? [];
  const latest = useQueries({
    queries: pipelines.map(({ id }) =>
      trpc.runs.list.queryOptions({ pipelineId: id, limit: STRIP_RUNS }),
    ),
  });
  const rows = pipelines.map((pipeline, index) => ({ pipeline, runs: latest[index]?.data?.items }));
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
          <Link to="/welcome" className={buttonLook('primary')}>
            <Plus size={15} aria-hidden />
            {text.pipelines.create}
          </Link>
        </>
      }
    >
      <Problem error={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={6} height={64} />}
      {list.data !== undefined &&
        (rows.length > 0 ? (
          <ul aria-label={text.pipelines.title} className="divide-y divide-border border-y border-border">
            {sorted(rows, sort).map(({ pipeline, runs }) => (
              <Row key={pipeline.id} pipeline={pipeline} runs={runs} />
            ))}
          </ul>
        ) : (
          <Empty
            action={
              q === undefined ? (
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
  runs: Run[] | undefined;
}

function sorted(rows: Row[], sort: Sort): Row[] {
  if (sort === 'name') return rows;
  const weight = ({ runs = [] }: Row) =>
    sort === 'activity' ? Date.parse(runs[0]?.createdAt ?? '') || 0 : -(statsOf(runs).success ?? 2);
  return [...rows].sort((a, b) => weight(b) - weight(a));
}

function Row({ pipeline, runs }: Row) {
  const text = useText();
  const { success, median, ended } = statsOf(runs ?? []);
  const latest = runs?.[0];
  return (
    <li className="relative grid grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-3 gap-y-2 px-3 py-3 hover:bg-subtle has-focus-visible:bg-subtle lg:grid-cols-[auto_minmax(0,1fr)_auto_4.5rem_5.5rem]">
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
        <div className="hidden sm:block">{runs !== undefined && <Strip runs={runs} places={STRIP_RUNS} />}</div>
        <div className="sm:hidden">{runs !== undefined && <Strip runs={runs} places={STRIP_RUNS_NARROW} />}</div>
      </div>
      <p className="text-right" title={success === null ? undefined : text.pipelines.ofLast(ended)}>
        {success !== null && (
          <>
            <span className="text-form font-medium tabular-nums">{Math.round(success * 100)} %</span>
            <span className="block text-meta text-text-2">{text.pipelines.success}</span>
          </>
        )}
      </p>
      <p className="hidden text-right lg:block">
        {median !== null && (
          <>
            <span className="text-form tabular-nums">{duration(median, text)}</span>
            <span className="block text-meta text-text-2">{text.pipelines.median}</span>
          </>
        )}
      </p>
    </li>
  );
}

function Latest({ run: listed }: { run: Run }) {
  const text = useText();
  const run = useLiveRun(listed);
  return (
    <>
      #{run.number} {text.status[run.status]}
      {run.finishedAt === null && run.startedAt !== null ? (
        <>
          {' '}
          <Duration from={run.startedAt} to={null} />
        </>
      ) : null}
      {run.branch !== null && ` · ${run.branch}`} · {run.trigger.by} · <Time at={run.createdAt} />
    </>
  );
}
