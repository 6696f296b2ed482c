import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useSubscription } from '@trpc/tanstack-react-query';
import { ExternalLink, Pause } from 'lucide-react';
import { useEffect, type ReactNode } from 'react';

import { heard, trpc } from '../../api/client';
import { Page } from '../../components/Page';
import { ranges } from '../../search';
import { useLanguage, useText } from '../../text';
import { duration, relative, timeOfDay } from '../../text/format';
import { useQueuesText } from '../../text/queues';
import { useNow } from '../../time';
import { buttonLook } from '../../ui/Button';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { bucketsOf, minutesOf, untilOf, type Bucket } from './buckets';
import { Chart } from './Chart';

/** The queue of runs: as it is at this moment, and as it was. */
export function QueuesPage() {
  const queues = useQueuesText();
  const { range = '1h' } = useSearch({ from: '/queues' });
  const navigate = useNavigate({ from: '/queues' });
  const live = useSubscription(trpc.system.watchQueue.subscriptionOptions(undefined, { onError: heard }));
  const history = useQuery(
    trpc.system.queueHistory.queryOptions(
      { minutes: minutesOf(range) },
      // A minute is told once it is over, and never changes.
      { staleTime: Infinity, placeholderData: keepPreviousData },
    ),
  );
  const { data: known, refetch } = history;
  const until = live.data?.historyUntil ?? null;
  const isBehind = known !== undefined && until !== null && untilOf(known.points) < Date.parse(until);
  useEffect(() => {
    if (isBehind) void refetch();
  }, [isBehind, until, refetch]);
  const now = useNow('minute');
  const state = live.data;
  const buckets = bucketsOf(history.data?.points ?? [], range, now);
  const current = buckets.at(-1);
  if (current !== undefined && state !== undefined) {
    current.waiting = Math.max(current.waiting ?? 0, state.waiting);
    current.active = Math.max(current.active ?? 0, state.active);
  }
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
      <div className="flex flex-col gap-6">
        <section>
          <h2 className="sr-only">{queues.now}</h2>
          <Problem error={live.error} onRetry={live.reset} />
          {state === undefined ? (
            live.error === null && <Skeleton rows={1} height={80} />
          ) : (
            <>
              <dl className="flex flex-wrap gap-x-10 gap-y-4 rounded-card bg-subtle px-4 py-4">
                <Figure label={queues.waiting}>{state.waiting}</Figure>
                <Figure label={queues.active}>{state.active}</Figure>
                <Figure label={queues.delayed}>{state.delayed}</Figure>
                <Figure label={queues.failed}>{state.failed}</Figure>
                <Figure label={queues.workers}>{state.workers}</Figure>
                <Figure label={queues.oldest}>
                  {state.oldestWaitingAt === null ? '–' : <Waited since={Date.parse(state.oldestWaitingAt)} />}
                </Figure>
              </dl>
              {state.isPaused && (
                <p className="flex items-center gap-2 pt-3">
                  <Pause size={14} className="shrink-0 text-waiting" aria-hidden />
                  {queues.paused}
                </p>
              )}
            </>
          )}
        </section>
        <section className="flex flex-col gap-3">
          <div className="flex flex-wrap items-center justify-between gap-2">
            <h2 className="text-section">{queues.history}</h2>
            <div role="group" aria-label={queues.range} className="flex gap-1">
              {ranges.map((each) => (
                <button
                  key={each}
                  type="button"
                  aria-pressed={each === range}
                  onClick={() => void navigate({ search: each === '1h' ? {} : { range: each }, replace: true })}
                  className={`target h-8 rounded-control px-2.5 ${each === range ? 'bg-muted font-medium' : 'text-text-2 hover:text-text'}`}
                >
                  {queues.ranges[each]}
                </button>
              ))}
            </div>
          </div>
          <Problem error={history.error} onRetry={() => void history.refetch()} />
          <Charts buckets={buckets} />
        </section>
      </div>
    </Page>
  );
}

function Charts({ buckets }: { buckets: readonly Bucket[] }) {
  const text = useText();
  const { status } = text;
  const queues = useQueuesText();
  const language = useLanguage();
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format;
  const took = (ms: number) => (ms === 0 ? '0' : duration(ms, text));
  const at = buckets.map((bucket) => bucket.at);
  const most = (key: Exclude<keyof Bucket, 'at'>) => Math.max(0, ...buckets.map((bucket) => bucket[key] ?? 0));
  const of = (key: Exclude<keyof Bucket, 'at'>) => buckets.map((bucket) => bucket[key]);
  const columns = [
    { key: 'waiting', name: queues.waiting, say: number },
    { key: 'active', name: queues.active, say: number },
    { key: 'succeeded', name: status.succeeded, say: number },
    { key: 'failed', name: status.failed, say: number },
    { key: 'canceled', name: status.canceled, say: number },
    { key: 'p50', name: queues.median, say: took },
    { key: 'p95', name: queues.slowest, say: took },
  ] as const;
  return (
    <>
      <div className="grid gap-4 lg:grid-cols-3">
        <Chart
          title={queues.depth}
          summary={queues.atMost(`${queues.waiting} ${number(most('waiting'))}, ${queues.active} ${number(most('active'))}`)}
          at={at}
          say={number}
          series={[
            { name: queues.waiting, kind: 'area', colour: 'waiting', values: of('waiting') },
            { name: queues.active, kind: 'line', colour: 'running', values: of('active') },
          ]}
        />
        <Chart
          title={queues.rate}
          summary={queues.atMost(`${status.succeeded} ${number(most('succeeded'))}, ${status.failed} ${number(most('failed'))}`)}
          at={at}
          say={number}
          series={[
            { name: status.succeeded, kind: 'bars', colour: 'succeeded', values: of('succeeded') },
            { name: status.failed, kind: 'bars', colour: 'failed', values: of('failed') },
            { name: status.canceled, kind: 'bars', colour: 'canceled', values: of('canceled') },
          ]}
        />
        <Chart
          title={queues.durations}
          summary={queues.atMost(`${queues.median} ${took(most('p50'))}, ${queues.slowest} ${took(most('p95'))}`)}
          at={at}
          say={took}
          series={[
            { name: queues.median, kind: 'line', colour: 'accent', values: of('p50') },
            { name: queues.slowest, kind: 'dashes', colour: 'timed-out', values: of('p95') },
          ]}
        />
      </div>
      <details>
        <summary className="w-fit text-text-2">{queues.table}</summary>
        <div role="region" tabIndex={0} aria-label={queues.table} className="mt-2 max-h-96 overflow-auto rounded-card border border-border">
          <table className="w-full text-right tabular-nums">
            <thead className="sticky top-0 bg-subtle">
              <tr>
                <th scope="col" className="px-3 py-1.5 text-left font-medium">{queues.time}</th>
                {columns.map(({ key, name }) => (
                  <th key={key} scope="col" className="px-3 py-1.5 font-medium whitespace-nowrap">{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {buckets.toReversed().map((bucket) => (
                <tr key={bucket.at} className="border-t border-border">
                  <th scope="row" className="px-3 py-1 text-left font-normal">{timeOfDay(bucket.at, language)}</th>
                  {columns.map(({ key, say }) => {
                    const value = bucket[key];
                    return <td key={key} className="px-3 py-1 whitespace-nowrap">{value === null ? '–' : say(value)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="flex flex-col-reverse">
      <dt className="text-text-2">{label}</dt>
      <dd className="text-title font-semibold tabular-nums">{children}</dd>
    </div>
  );
}

function Waited({ since }: { since: number }) {
  const language = useLanguage();
  const now = useNow('second');
  return relative(Math.min(since, now), now, language);
}
