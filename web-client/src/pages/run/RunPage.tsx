import type { RunId } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';

import { isNotFound } from '../../api/errors';
import { runIdOptions, useRun } from '../../api/runs';
import { RunView } from '../../run/RunView';
import { runNumber } from '../../search';
import { useText } from '../../text';
import { Empty, Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

export function RunPage() {
  const text = useText();
  const { slug, number } = useParams({ from: '/pipelines/$slug/runs/$number' });
  const wanted = runNumber(number);
  const id = useQuery({ ...runIdOptions(slug, wanted ?? 0), enabled: wanted !== null });
  if (wanted === null || isNotFound(id.error)) return <Empty>{text.run.notFound}</Empty>;
  if (id.data === null) return <Empty>{text.run.notFound}</Empty>;
  if (id.data === undefined) return <Waiting error={id.error} onRetry={() => void id.refetch()} />;
  return <Run key={id.data} runId={id.data} />;
}

function Run({ runId }: { runId: RunId }) {
  const text = useText();
  const run = useRun(runId);
  if (isNotFound(run.error)) return <Empty>{text.run.notFound}</Empty>;
  if (run.data === undefined) return <Waiting error={run.error} onRetry={() => void run.refetch()} />;
  return <RunView run={run.data} />;
}

function Waiting({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <div className="p-4">
      {error !== null && error !== undefined ? <Problem error={error} onRetry={onRetry} /> : <Skeleton rows={8} />}
    </div>
  );
}
