import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState, type ReactNode } from 'react';

import { trpc } from '../api/client';
import { may, useMe } from '../api/me';
import { statuses, type RunsSearch } from '../search';
import { useText } from '../text';
import { Button } from '../ui/Button';
import { Empty, Skeleton } from '../ui/Empty';
import { Problem } from '../ui/Problem';
import { useDebounced } from '../ui/debounced';
import { RunList } from './RunList';

const BulkDialog = lazy(() => import('./BulkDialog').then(({ BulkDialog }) => ({ default: BulkDialog })));

const PAGE_RUNS = 30;

interface Props {
  search: RunsSearch;
  onSearch: (search: RunsSearch) => void;
  /** Of this one alone. */
  pipeline?: string;
  /** What to do where nothing has run. */
  empty: ReactNode;
}

/** Runs with filters, which are the address's, and as many pages as are asked for. */
export function RunsView({ search, onSearch, pipeline, empty }: Props) {
  const text = useText();
  const { status, branch } = search;
  const pipelineId = pipeline ?? search.pipeline;
  const me = useMe();
  const [isBulk, setBulk] = useState(false);
  const runs = useInfiniteQuery(
    trpc.runs.list.infiniteQueryOptions(
      {
        limit: PAGE_RUNS,
        ...(pipelineId === undefined ? {} : { pipelineId }),
        ...(status === undefined ? {} : { status }),
        ...(branch === undefined ? {} : { branch }),
      },
      {
        getNextPageParam: ({ nextCursor }) => nextCursor,
        placeholderData: keepPreviousData,
      },
    ),
  );
  const items = runs.data?.pages.flatMap((page) => page.items) ?? [];
  const { pipeline: _, trigger: __, ...ofList } = search;
  const count = Object.keys(pipeline === undefined ? { ...ofList, ...(search.pipeline ? { p: 1 } : {}) } : ofList).length;
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 pb-3">
        <select
          aria-label={text.runs.status}
          className="field w-auto!"
          value={status ?? ''}
          onChange={({ target }) => {
            const { status: ___, ...rest } = search;
            const chosen = statuses.find((each) => each === target.value);
            onSearch(chosen === undefined ? rest : { ...rest, status: chosen });
          }}
        >
          <option value="">{text.runs.anyStatus}</option>
          {statuses.map((each) => (
            <option key={each} value={each}>
              {text.status[each]}
            </option>
          ))}
        </select>
        <FilterText
          label={text.runs.branch}
          placeholder={text.runs.anyBranch}
          value={branch ?? ''}
          isFirst
          onChange={(value) => {
            const { branch: ___, ...rest } = search;
            onSearch(value === '' ? rest : { ...rest, branch: value });
          }}
        />
        {pipeline === undefined && (
          <FilterText
            label={text.runs.pipeline}
            placeholder={text.runs.anyPipeline}
            value={search.pipeline ?? ''}
            onChange={(value) => {
              const { pipeline: ___, ...rest } = search;
              onSearch(value === '' ? rest : { ...rest, pipeline: value });
            }}
          />
        )}
        {count > 0 && (
          <p className="text-text-2">
            {text.runs.filters(count)} ·{' '}
            <button type="button" className="link" onClick={() => onSearch({})}>
              {text.actions.clear}
            </button>
          </p>
        )}
        {items.length > 0 && may(me, 'operator') && (
          <Button kind="quiet" className="ml-auto" onClick={() => setBulk(true)}>
            {text.bulk.open}
          </Button>
        )}
      </div>
      <Suspense fallback={null}>
        {isBulk && (
          <BulkDialog search={pipelineId === undefined ? search : { ...search, pipeline: pipelineId }} onClose={() => setBulk(false)} />
        )}
      </Suspense>
      <Problem error={runs.error} onRetry={() => void runs.refetch()} />
      {runs.isPending && <Skeleton rows={8} height={44} />}
      {runs.data !== undefined &&
        (items.length > 0 ? (
          <RunList runs={items} hasPipeline={pipeline === undefined} />
        ) : (
          <Empty action={count > 0 ? undefined : empty}>
            {count > 0 ? text.runs.noMatch : pipeline === undefined ? text.runs.empty : text.pipeline.empty}
          </Empty>
        ))}
      {runs.hasNextPage && (
        <div className="flex justify-center py-4">
          <Button isBusy={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>
            {text.actions.more}
          </Button>
        </div>
      )}
    </>
  );
}

interface FilterProps {
  label: string;
  placeholder: string;
  value: string;
  isFirst?: boolean;
  onChange: (value: string) => void;
}

export function FilterText({ label, placeholder, value, isFirst = false, onChange }: FilterProps) {
  const { shown, setShown } = useDebounced(value, onChange);
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={placeholder}
      className="field w-44!"
      value={shown}
      maxLength={200}
      {...(isFirst ? { 'data-filter': true } : {})}
      onChange={({ target }) => setShown(target.value)}
    />
  );
}
