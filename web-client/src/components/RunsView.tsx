import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState, type ReactNode } from 'react';

import { trpc } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../roles';
import type { RunsSearch } from '../search';
import { useText } from '../text';
import { useRunsText } from '../text/runs';
import { useNow } from '../time';
import { Button } from '../ui/Button';
import { Empty, Skeleton } from '../ui/Empty';
import { Problem } from '../ui/Problem';
import { filterOf } from './run-filter';
import { countOf, RunFilters } from './RunFilters';
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
  const { noMatch } = useRunsText();
  const me = useMe();
  const filter = filterOf(pipeline === undefined ? search : { ...search, pipeline }, useNow());
  const [isBulk, setBulk] = useState(false);
  const runs = useInfiniteQuery(
    trpc.runs.list.infiniteQueryOptions(
      { limit: PAGE_RUNS, ...filter },
      { getNextPageParam: ({ nextCursor }) => nextCursor, placeholderData: keepPreviousData },
    ),
  );
  const items = runs.data?.pages.flatMap((page) => page.items) ?? [];
  const isFiltered = countOf(search) > 0;
  return (
    <>
      <RunFilters search={search} onSearch={onSearch} hasPipeline={pipeline === undefined}>
        {items.length > 0 && may(me, 'operator') && (
          <Button kind="quiet" className="col-start-2 ml-auto" onClick={() => setBulk(true)}>
            {text.bulk.open}
          </Button>
        )}
      </RunFilters>
      <Suspense fallback={null}>{isBulk && <BulkDialog filter={filter} onClose={() => setBulk(false)} />}</Suspense>
      <Problem error={runs.error} onRetry={() => void runs.refetch()} />
      {runs.isPending && <Skeleton rows={8} height={44} />}
      {runs.data !== undefined &&
        (items.length > 0 ? (
          <RunList runs={items} hasPipeline={pipeline === undefined} />
        ) : (
          <Empty action={isFiltered ? undefined : empty}>
            {isFiltered ? noMatch : pipeline === undefined ? text.runs.empty : text.pipeline.empty}
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
