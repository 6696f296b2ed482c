import { useQuery } from '@tanstack/react-query';
import { Navigate, useLocation, useParams } from '@tanstack/react-router';

import { queryClient } from '../../api/client';
import { isNotFound } from '../../api/errors';
import { runIdOptions, runOptions } from '../../api/runs';
import { useText } from '../../text';
import { Empty } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

/** What the command line and notifications print: leads to the run's own page. */
export function RunById() {
  const text = useText();
  const { runId } = useParams({ from: '/r/$runId' });
  const hash = useLocation({ select: (location) => location.hash });
  const run = useQuery(runOptions(runId));
  if (isNotFound(run.error)) return <Empty>{text.run.notFound}</Empty>;
  if (run.data === undefined) return <Problem error={run.error} onRetry={() => void run.refetch()} />;
  const { id, pipelineName, number } = run.data;
  queryClient.setQueryData(runIdOptions(pipelineName, number).queryKey, id);
  return (
    <Navigate
      to="/pipelines/$slug/runs/$number"
      params={{ slug: pipelineName, number: String(number) }}
      {...(hash === '' ? {} : { hash })}
      replace
    />
  );
}
