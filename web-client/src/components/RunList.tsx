import type { Run } from '@slipway/client';
import { Link } from '@tanstack/react-router';
import { GitBranch } from 'lucide-react';

import { useLiveRun } from '../api/runs';
import { isLive } from '../run/status';
import { useText } from '../text';
import { StatusIcon } from '../ui/StatusIcon';
import { Duration, Time } from '../ui/Time';
import { Progress } from './Progress';

interface Props {
  runs: readonly Run[];
  /** In a list of several pipelines. */
  hasPipeline?: boolean;
}

export function RunList({ runs, hasPipeline = false }: Props) {
  const text = useText();
  return (
    <ul aria-label={text.runs.list} className="divide-y divide-border border-y border-border">
      {runs.map((run) => (
        <RunRow key={run.id} run={run} hasPipeline={hasPipeline} />
      ))}
    </ul>
  );
}

function RunRow({ run: listed, hasPipeline }: { run: Run; hasPipeline: boolean }) {
  const text = useText();
  const run = useLiveRun(listed);
  const why = run.error ?? run.reason;
  const name = text.run.title(run.pipelineName, run.number);
  return (
    <li className="relative grid min-h-(--row) grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-3 px-3 py-1 hover:bg-subtle has-focus-visible:bg-subtle md:grid-cols-[auto_minmax(0,1.2fr)_minmax(0,1fr)_minmax(0,1fr)_6rem_7rem]">
      <StatusIcon status={run.status} />
      <div className="flex min-w-0 items-baseline gap-2">
        <Link
          to="/pipelines/$slug/runs/$number"
          params={{ slug: run.pipelineName, number: String(run.number) }}
          data-list-row
          aria-label={text.runs.open(name, text.status[run.status])}
          className="font-medium whitespace-nowrap after:absolute after:inset-0"
        >
          {hasPipeline && <span className="font-normal text-text-2">{run.pipelineName} </span>}#{run.number}
        </Link>
        <span className="whitespace-nowrap text-text-2">{text.status[run.status]}</span>
        {run.attempt > 1 && <span className="text-meta whitespace-nowrap text-text-2">{text.runs.attemptShort(run.attempt)}</span>}
      </div>
      <p className="col-span-2 col-start-2 row-start-2 truncate text-text-2 md:col-span-1 md:col-start-auto md:row-start-auto" title={why ?? undefined}>
        {why}
      </p>
      <div className="hidden min-w-0 items-center gap-2 text-text-2 md:flex">
        {run.branch !== null && (
          <span className="inline-flex min-w-0 items-center gap-1">
            <GitBranch size={13} className="shrink-0" aria-hidden />
            <span className="truncate">{run.branch}</span>
          </span>
        )}
        {run.commit !== null && <code className="text-meta">{run.commit.slice(0, 7)}</code>}
        <span className="truncate">{run.trigger.by}</span>
      </div>
      <div className="hidden justify-end text-text-2 md:flex">
        {isLive(run.status) ? <Progress run={run} /> : <Duration from={run.startedAt} to={run.finishedAt} />}
      </div>
      <div className="text-right text-text-2">
        <Time at={run.createdAt} />
      </div>
    </li>
  );
}
