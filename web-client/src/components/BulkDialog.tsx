import type { BulkAction, BulkPreview, BulkWork } from '@slipway/client';
import { skipToken, useMutation, useQuery } from '@tanstack/react-query';
import { useSubscription } from '@trpc/tanstack-react-query';
import { useState, type FormEvent } from 'react';

import { heard, trpc } from '../api/client';
import { useMe } from '../api/me';
import { may } from '../roles';
import { useLanguage, useText } from '../text';
import { useBulkText } from '../text/bulk';
import { absolute } from '../text/format';
import { useRunsText } from '../text/runs';
import { Button } from '../ui/Button';
import { Dialog } from '../ui/Dialog';
import { Skeleton } from '../ui/Empty';
import { Problem } from '../ui/Problem';
import { StatusIcon } from '../ui/StatusIcon';
import { Time } from '../ui/Time';
import type { RunFilter } from './run-filter';

const actions: readonly BulkAction[] = ['cancel', 'retry', 'delete'];
const SAMPLE_RUNS = 5;

interface Props {
  filter: RunFilter;
  onClose: () => void;
}

/** Does something to all runs that a list's filters leave: says to how many before, and how far it is afterwards. */
export function BulkDialog({ filter, onClose }: Props) {
  const bulk = useBulkText();
  const [started, setStarted] = useState<BulkWork | null>(null);
  return (
    <Dialog title={bulk.title} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <Filters filter={filter} />
        {started === null ? (
          <Choice filter={filter} onStart={setStarted} onClose={onClose} />
        ) : (
          <Progress started={started} onClose={onClose} />
        )}
      </div>
    </Dialog>
  );
}

function Filters({ filter: { pipelineId, status, branch, by, since, until } }: Pick<Props, 'filter'>) {
  const text = useText();
  const language = useLanguage();
  const runs = useRunsText();
  const bulk = useBulkText();
  const given: [string, string][] = [];
  if (pipelineId !== undefined) given.push([runs.pipeline, pipelineId]);
  if (status !== undefined) given.push([runs.status, text.status[status]]);
  if (branch !== undefined) given.push([runs.branch, branch]);
  if (by !== undefined) given.push([runs.by, by]);
  if (since !== undefined) given.push([runs.since, absolute(Date.parse(since), language)]);
  if (until !== undefined) given.push([runs.until, absolute(Date.parse(until), language)]);
  if (given.length === 0) return <p className="text-text-2">{bulk.all}</p>;
  return (
    <dl className="flex flex-wrap gap-x-6 gap-y-1">
      {given.map(([name, value]) => (
        <div key={name} className="flex gap-2">
          <dt className="text-text-2">{name}</dt>
          <dd className="font-medium wrap-anywhere">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ChoiceProps extends Props {
  onStart: (work: BulkWork) => void;
}

function Choice({ filter, onStart, onClose }: ChoiceProps) {
  const text = useText();
  const bulk = useBulkText();
  const me = useMe();
  const [action, setAction] = useState<BulkAction>('cancel');
  const [isSure, setSure] = useState(false);
  const preview = useQuery(trpc.runs.previewBulk.queryOptions({ action, ...filter }, { staleTime: 0, gcTime: 0 }));
  const start = useMutation(trpc.runs.startBulk.mutationOptions({ onSuccess: onStart }));
  const concerned = preview.data === undefined ? 0 : preview.data.total - preview.data.skipped;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (preview.data !== undefined) start.mutate({ action, ...filter, until: preview.data.until });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <fieldset className="flex flex-col gap-2">
        <legend className="sr-only">{bulk.action}</legend>
        {actions.map((each) => (
          <label key={each} className="flex items-baseline gap-2">
            <input
              type="radio"
              name="action"
              checked={action === each}
              disabled={each === 'delete' && !may(me, 'admin')}
              onChange={() => {
                setAction(each);
                setSure(false);
                start.reset();
              }}
            />
            <span>
              <span className="font-medium">{bulk.actions[each]}</span>{' '}
              <span className="text-text-2">{bulk.concerns[each]}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Problem error={preview.error} onRetry={() => void preview.refetch()} />
      {preview.isPending && <Skeleton rows={2} />}
      {preview.data !== undefined && <Preview preview={preview.data} concerned={concerned} />}
      {action === 'delete' && concerned > 0 && (
        <label className="flex items-baseline gap-2">
          <input type="checkbox" required checked={isSure} onChange={({ target }) => setSure(target.checked)} />
          {bulk.sure}
        </label>
      )}
      <Problem error={start.error} />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{text.actions.close}</Button>
        <Button kind={action === 'retry' ? 'primary' : 'danger'} type="submit" disabled={concerned === 0} isBusy={start.isPending}>
          {bulk.start[action](concerned)}
        </Button>
      </div>
    </form>
  );
}

function Preview({ preview: { total, more, reasons, noRight, sample }, concerned }: { preview: BulkPreview; concerned: number }) {
  const text = useText();
  const bulk = useBulkText();
  return (
    <div className="flex flex-col gap-2 rounded-card bg-subtle px-3 py-2">
      <p role="status">
        {bulk.preview(concerned, reasons.map(({ reason, count }) => bulk.leftOut[reason](count)).join(', '))}
        {more && <> {bulk.more(total)}</>}
        {noRight > 0 && <> {bulk.noRight(noRight)}</>}
      </p>
      {sample.length > 0 && (
        <ul aria-label={bulk.newest}>
          {sample.slice(0, SAMPLE_RUNS).map((run) => (
            <li key={run.id} className="flex items-center gap-2 py-0.5 text-text-2">
              <StatusIcon status={run.status} />
              <span className="min-w-0 flex-1 truncate">{text.run.title(run.pipelineName, run.number)}</span>
              <Time at={run.createdAt} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Progress({ started, onClose }: { started: BulkWork; onClose: () => void }) {
  const text = useText();
  const bulk = useBulkText();
  const [work, setWork] = useState(started);
  const isOver = work.finishedAt !== null;
  useSubscription(
    trpc.runs.watchBulk.subscriptionOptions(isOver ? skipToken : { bulkId: started.id }, { onData: setWork, onError: heard }),
  );
  const stop = useMutation(trpc.runs.stopBulk.mutationOptions({ onSuccess: setWork }));
  const seen = work.done + work.skipped;
  return (
    <>
      <p role="status">{bulk.state[work.state](seen, work.total)} {bulk.outcome(work.done, work.skipped)}</p>
      <div
        role="progressbar"
        aria-label={bulk.actions[work.action]}
        aria-valuenow={seen}
        aria-valuemin={0}
        aria-valuemax={work.total}
        className="h-1.5 overflow-hidden rounded-full bg-muted"
      >
        <div
          className="h-full bg-running transition-[width] duration-180"
          style={{ width: `${work.total === 0 ? 100 : (100 * seen) / work.total}%` }}
        />
      </div>
      {work.reason !== null && <p className="wrap-anywhere">{work.reason}</p>}
      {!isOver && <p className="text-meta text-text-2">{bulk.goesOn}</p>}
      <Problem error={stop.error} />
      <div className="flex justify-end gap-2">
        {!isOver && (
          <Button isBusy={stop.isPending || work.state === 'stopping'} onClick={() => stop.mutate({ bulkId: work.id })}>
            {bulk.stop}
          </Button>
        )}
        <Button kind="primary" onClick={onClose}>
          {text.actions.close}
        </Button>
      </div>
    </>
  );
}
