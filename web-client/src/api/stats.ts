import type { PipelineId, PipelineStats } from '@slipway/client';
import { keepPreviousData, useQuery } from '@tanstack/react-query';

import { trpc } from './client';

/** As many as a row of marks has. */
export const STATS_RUNS = 30;

/** How pipelines have fared lately, by one question for all of them. */
export function usePipelineStats(pipelineIds: PipelineId[]): Map<PipelineId, PipelineStats> {
  const { data } = useQuery(
    trpc.pipelines.stats.queryOptions(
      { pipelineIds, runs: STATS_RUNS },
      { enabled: pipelineIds.length > 0, placeholderData: keepPreviousData },
    ),
  );
  return new Map(data?.items.map((each) => [each.pipelineId, each]));
}

/** How many runs say something of their pipeline: a run that was canceled does not. */
export function judgedOf({ runs }: PipelineStats): number {
  return runs.filter(({ status, finishedAt }) => finishedAt !== null && status !== 'canceled').length;
}
