import type { RunDetails, RunId } from '@slipway/client';

import { parseRange } from '../log/range';
import { linesOf, pageOf, type Read } from '../log/read';
import { failureOf, faultsOf, segmentsOf } from '../log/segments';
import { isLive } from '../run/status';
import { client, queryClient, trpc } from './client';

/** By then the code of the log is there, or somebody went elsewhere. */
const AHEAD_MS = 30_000;

const ahead = (runId: RunId, from: number, limit: number) =>
  trpc.runs.logs.queryOptions({ runId, from, limit }, { staleTime: AHEAD_MS, gcTime: AHEAD_MS });

/** Asks for the lines that the log opens at, while the code that shows them is still on its way. */
export function readAhead(run: RunDetails): void {
  // What goes on opens at its end, which the stream tells.
  if (isLive(run.status) || run.lines === 0 || run.logPurgedAt !== null) return;
  const failure = failureOf(faultsOf(segmentsOf(run, run.lines, () => undefined)));
  const n = Math.min(parseRange(window.location.hash)?.from ?? failure?.n ?? 1, run.lines);
  const [first, last] = linesOf(pageOf(n), run.lines);
  void queryClient.prefetchQuery(ahead(run.id, first, last - first + 1));
}

/** Reads the lines of a run, those that were asked for ahead among them. */
export function reader(runId: RunId): Read {
  return async (from, limit, signal) => {
    const asked = ahead(runId, from, limit);
    const isAhead = queryClient.getQueryState(asked.queryKey) !== undefined;
    if (!isAhead) return await client.runs.logs.query({ runId, from, limit }, { signal });
    const lines = await queryClient.fetchQuery(asked);
    // The log keeps them from now on.
    queryClient.removeQueries({ queryKey: asked.queryKey, exact: true });
    return lines;
  };
}
