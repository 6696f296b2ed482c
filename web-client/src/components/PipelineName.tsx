import type { PipelineId } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { trpc } from '../api/client';
import { isNotFound } from '../api/errors';
import { useSettingsText } from '../text/settings';

const NAME_STALE_MS = 60_000;

/** The name of a pipeline that is known by its id; null: it is not known yet, or never will be. */
export function usePipelineName(pipelineId: PipelineId): { name: string | null; isGone: boolean } {
  const { data, error } = useQuery(trpc.pipelines.get.queryOptions({ pipelineId }, { staleTime: NAME_STALE_MS }));
  return { name: data?.name ?? null, isGone: isNotFound(error) };
}

/** How much of an id tells it from others at a glance. */
export const shortId = (id: string) => (id.length > 16 ? `…${id.slice(-8)}` : id);

export function PipelineName({ pipelineId }: { pipelineId: PipelineId }) {
  const { account } = useSettingsText();
  const { name, isGone } = usePipelineName(pipelineId);
  if (isGone) return <span className="text-text-2">{account.deletedPipeline}</span>;
  if (name === null) return <code className="text-meta text-text-2">{shortId(pipelineId)}</code>;
  return (
    <Link to="/pipelines/$slug" params={{ slug: name }} className="link wrap-anywhere">
      {name}
    </Link>
  );
}
