import type { Run, RunDetails, RunId, RunState } from '@slipway/client';
import { skipToken, useQuery, type InfiniteData, type QueryClient } from '@tanstack/react-query';
import { useSubscription } from '@trpc/tanstack-react-query';

import { client, following, heard, queryClient, trpc } from './client';
import { isNotFound } from './errors';
import { readAhead } from './lines';
import { isLive } from '../run/status';

/** An answer that was under way while a newer state came must not undo it: nothing newer would follow. */
function newest(before: unknown, after: unknown): unknown {
  return isRun(before) && isRun(after) && before.version > after.version ? before : after;
}

function isRun(data: unknown): data is Pick<Run, 'version'> {
  return typeof data === 'object' && data !== null && 'version' in data && typeof data.version === 'number';
}

export function runOptions(runId: RunId) {
  return trpc.runs.get.queryOptions({ runId }, { structuralSharing: newest });
}

/** A run and its steps, at every moment as the server has them. */
export function useRun(runId: RunId) {
  const query = useQuery(runOptions(runId));
  const status = query.data?.status;
  useSubscription(
    trpc.pipelines.watchRun.subscriptionOptions(status !== undefined && isLive(status) ? { runId } : skipToken, {
      onData: (state) => merge(queryClient, state),
      ...following,
    }),
  );
  return query;
}

/** Keeps a run that a list shows as it is now. */
export function useLiveRun(run: Run): Run {
  useSubscription(
    trpc.pipelines.watchRun.subscriptionOptions(isLive(run.status) ? { runId: run.id } : skipToken, {
      onData: (state) => merge(queryClient, state),
      onError: heard,
    }),
  );
  return run;
}

type Lists = InfiniteData<{ items: Run[] }> | { items: Run[] };

/** Puts a state into everything that shows the run. */
export function merge(cache: QueryClient, state: RunState): void {
  const key = trpc.runs.get.queryKey({ runId: state.runId });
  const before = cache.getQueryData(key);
  if (before !== undefined && before.version <= state.version) {
    cache.setQueryData(key, joined(before, state));
    // An attempt that is over is not in the state: it is asked for.
    if (isFurther(before, state)) void cache.invalidateQueries({ queryKey: key });
  }
  const change = <T extends Run>(run: T): T => {
    if (run.id !== state.runId || run.version > state.version) return run;
    const { runId: _, steps: __, ...rest } = state;
    return { ...run, ...rest };
  };
  cache.setQueriesData<Lists>({ queryKey: trpc.runs.list.pathKey() }, (lists) => {
    if (lists === undefined) return lists;
    if ('pages' in lists)
      return { ...lists, pages: lists.pages.map((page) => ({ ...page, items: page.items.map(change) })) };
    return { ...lists, items: lists.items.map(change) };
  });
}

function joined(run: RunDetails, { runId: _, ...state }: RunState): RunDetails {
  return { ...run, ...state };
}

function isFurther(before: RunDetails, state: RunState): boolean {
  const attempts = new Map(before.steps.map(({ name, attempt }) => [name, attempt]));
  return (
    before.attempt !== state.attempt ||
    state.steps.some(({ name, attempt }) => (attempts.get(name) ?? attempt) !== attempt)
  );
}

/** After an action of one's own: the answer is the newest there is. */
export function learn(run: Run): void {
  queryClient.setQueryData(trpc.runs.get.queryKey({ runId: run.id }), (before) =>
    before === undefined ? before : { ...before, ...run },
  );
  void queryClient.invalidateQueries({ queryKey: trpc.runs.get.queryKey({ runId: run.id }) });
  void queryClient.invalidateQueries({ queryKey: trpc.runs.list.pathKey() });
  queryClient.setQueryData(idKey(run.pipelineName, run.number), run.id);
}

const idKey = (pipeline: string, number: number) => ['run-id', pipeline, number];

/** The id of a run of a pipeline, by its number; null: there is none. */
export function runIdOptions(pipeline: string, number: number) {
  return {
    queryKey: idKey(pipeline, number),
    staleTime: Infinity,
    queryFn: async (): Promise<RunId | null> => {
      try {
        const run = await client.runs.getByNumber.query({ pipelineId: pipeline, number });
        queryClient.setQueryData(trpc.runs.get.queryKey({ runId: run.id }), run);
        readAhead(run);
        return run.id;
      } catch (error) {
        if (isNotFound(error)) return null;
        throw error;
      }
    },
  };
}
