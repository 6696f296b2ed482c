import { useQuery } from '@tanstack/react-query';
import { ExternalLink } from 'lucide-react';

import { trpc } from '../../api/client';
import { Page } from '../../components/Page';
import { useLanguage, useText } from '../../text';
import { relative } from '../../text/format';
import { useNow } from '../../time';
import { buttonLook } from '../../ui/Button';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

/** Until the server streams it. */
const HEALTH_EVERY_MS = 5_000;

export function QueuesPage() {
  const text = useText();
  const { queues } = text;
  const language = useLanguage();
  const now = useNow('second');
  const health = useQuery(trpc.system.health.queryOptions(undefined, { refetchInterval: HEALTH_EVERY_MS }));
  return (
    <Page
      title={queues.title}
      actions={
        <a href="/admin/queues" className={buttonLook()}>
          {queues.board}
          <ExternalLink size={14} aria-hidden />
        </a>
      }
    >
      <Problem error={health.error} onRetry={() => void health.refetch()} />
      {health.isPending && <Skeleton rows={3} height={72} />}
      {health.data !== undefined && (
        <div className="flex flex-col gap-6">
          <section>
            <h2 className="pb-2 text-section">{queues.jobs}</h2>
            <dl className="flex flex-wrap gap-x-10 gap-y-4 rounded-card bg-subtle px-4 py-4">
              <Figure label={queues.waiting} value={health.data.queue.waiting} />
              <Figure label={queues.active} value={health.data.queue.active} />
              <Figure label={queues.delayed} value={health.data.queue.delayed} />
              <Figure label={queues.failed} value={health.data.queue.failed} />
              <Figure label={queues.workers} value={health.data.queue.workers} />
            </dl>
            <p className="pt-2 text-text-2">
              {health.data.lastFetchAt === null
                ? queues.neverFetched
                : queues.lastFetch(relative(Date.parse(health.data.lastFetchAt), now, language))}
            </p>
          </section>
          <section>
            <h2 className="pb-2 text-section">{queues.streams}</h2>
            <dl className="flex flex-wrap gap-x-10 gap-y-4 rounded-card bg-subtle px-4 py-4">
              <Figure label={queues.streamsOpen} value={health.data.streams.open} />
              <Figure label={queues.streamsLogs} value={health.data.streams.logs} />
              <Figure label={queues.streamsRuns} value={health.data.streams.runs} />
            </dl>
          </section>
        </div>
      )}
    </Page>
  );
}

function Figure({ label, value }: { label: string; value: number }) {
  return (
    <div className="flex flex-col-reverse">
      <dt className="text-text-2">{label}</dt>
      <dd className="text-title font-semibold tabular-nums">{value}</dd>
    </div>
  );
}
