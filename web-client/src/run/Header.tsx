import type { RunDetails } from '@slipway/client';
import { ChevronDown, CircleX, GitBranch, GitCommitHorizontal, Link2, RotateCcw, TriangleAlert } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';

import { Progress } from '../components/Progress';
import { useText } from '../text';
import { Button } from '../ui/Button';
import { copyText } from '../ui/copy';
import { Problem } from '../ui/Problem';
import { StatusMark } from '../ui/StatusIcon';
import { Duration, Time } from '../ui/Time';
import type { RunActions } from './actions';
import type { Refusal } from './refusal';
import { isLive } from './status';

const RetryMenu = lazy(() => import('./RetryMenu').then(({ RetryMenu }) => ({ default: RetryMenu })));

interface Props {
  run: RunDetails;
  actions: RunActions;
  onFailure: () => void;
}

const edges: Partial<Record<RunDetails['status'], string>> = {
  running: 'bg-running',
  succeeded: 'bg-succeeded',
  failed: 'bg-failed',
  timed_out: 'bg-timed-out',
  waiting: 'bg-waiting',
};

export function Header({ run, actions, onFailure }: Props) {
  const text = useText();
  const live = isLive(run.status);
  const hasFailed = run.status === 'failed' || run.status === 'timed_out';
  const why = run.error ?? run.reason;
  const reasons: Record<Refusal, string | undefined> = { role: text.errors.forbidden, purged: text.run.noLog, status: undefined };
  return (
    <div className="relative shrink-0 border-b border-border px-3 py-2.5 pl-4 sm:px-5">
      <span aria-hidden className={`absolute inset-y-0 left-0 w-1 ${edges[run.status] ?? 'bg-canceled'}`} />
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h1 className="text-section wrap-anywhere">
          <span className="font-normal text-text-2">{run.pipelineName}</span> #{run.number}
        </h1>
        <p role="status" className="flex items-center gap-3 text-form">
          <StatusMark status={run.status} />
          <span className="text-text-2">
            {live ? <Progress run={run} /> : <Duration from={run.startedAt} to={run.finishedAt} />}
          </span>
        </p>
        <div className="ml-auto flex items-center gap-2">
          {hasFailed && (
            <Button kind="quiet" icon={<TriangleAlert size={14} />} title="e" onClick={onFailure}>
              <span className="sr-only xl:not-sr-only">{text.run.jumpToFailure}</span>
            </Button>
          )}
          <CopyLink />
          {live ? (
            <Button
              kind="danger"
              icon={<CircleX size={14} />}
              isBusy={actions.isCanceling}
              disabled={actions.noCancel !== null}
              title={actions.noCancel === null ? 'c' : reasons[actions.noCancel]}
              onClick={actions.cancel}
            >
              {run.status === 'canceling' ? text.run.canceling : text.run.cancel}
            </Button>
          ) : run.status === 'succeeded' || actions.noRetry !== null ? (
            <Button
              icon={<RotateCcw size={14} />}
              isBusy={actions.isRetrying}
              disabled={actions.noRetry !== null}
              title={actions.noRetry === null ? 'R' : reasons[actions.noRetry]}
              onClick={() => actions.retry('start')}
            >
              {run.status === 'succeeded' ? text.run.runAgain : text.run.retry}
            </Button>
          ) : (
            <Suspense fallback={<RetrySoon />}>
              <RetryMenu actions={actions} />
            </Suspense>
          )}
        </div>
      </div>
      <div className="mt-1 flex flex-wrap items-center gap-x-4 gap-y-1 text-text-2">
        {run.branch !== null && (
          <span className="inline-flex items-center gap-1">
            <GitBranch size={13} aria-hidden />
            {run.branch}
          </span>
        )}
        {run.commit !== null && (
          <span className="inline-flex items-center gap-1">
            <GitCommitHorizontal size={13} aria-hidden />
            <code className="text-meta">{run.commit.slice(0, 10)}</code>
          </span>
        )}
        <span>{run.trigger.by}</span>
        <Time at={run.createdAt} />
        {run.attempt > 1 && <span>{text.runs.attempt(run.attempt, Math.max(run.attempt, run.attemptsMax))}</span>}
        {run.nextAttemptAt !== null && (
          <span>
            <Time at={run.nextAttemptAt} />
          </span>
        )}
        {why !== null && <span className={`wrap-anywhere ${run.error !== null ? 'font-medium text-failed' : ''}`}>{why}</span>}
      </div>
      {actions.error !== null && (
        <div className="mt-2">
          <Problem error={actions.error} />
        </div>
      )}
    </div>
  );
}

/** As wide as the menu's button that comes in its place. */
function RetrySoon() {
  const text = useText();
  return (
    <Button icon={<RotateCcw size={14} />} aria-disabled>
      {text.run.retry}
      <ChevronDown size={14} aria-hidden />
    </Button>
  );
}

const COPIED_MS = 2_000;

function CopyLink() {
  const text = useText();
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await copyText(window.location.href);
    setDone(true);
    setTimeout(() => setDone(false), COPIED_MS);
  };
  return (
    <Button
      kind="quiet"
      icon={<Link2 size={15} />}
      aria-label={isDone ? text.actions.copied : text.run.copyLink}
      title={isDone ? text.actions.copied : `${text.run.copyLink} (y)`}
      onClick={() => void copy()}
    />
  );
}
