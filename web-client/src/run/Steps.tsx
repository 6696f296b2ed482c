import type { RunDetails, Step } from '@slipway/client';

import { useText } from '../text';
import { StatusIcon } from '../ui/StatusIcon';
import { Duration } from '../ui/Time';
import { wentWrong } from './status';

export interface StepsProps {
  run: RunDetails;
  /** The step whose lines are seen. */
  current: string | null;
  onStep: (name: string, attempt?: number) => void;
}

export function Steps({ run, current, onStep, onLine }: StepsProps & { onLine: (n: number) => void }) {
  const text = useText();
  if (run.steps.length === 0) return <p className="p-4 text-text-2">{text.run.noSteps}</p>;
  return (
    <ol aria-label={text.run.panels.steps} className="p-1.5">
      {run.steps.map((step) => (
        <Row key={step.name} step={step} earlier={run.earlierSteps.filter(({ name }) => name === step.name)} isCurrent={step.name === current} onStep={onStep} onLine={onLine} />
      ))}
    </ol>
  );
}

interface RowProps {
  step: Step;
  earlier: Step[];
  isCurrent: boolean;
  onStep: StepsProps['onStep'];
  onLine: (n: number) => void;
}

function Row({ step, earlier, isCurrent, onStep, onLine }: RowProps) {
  const text = useText();
  const exit = step.exitCode !== null && step.exitCode !== 0 ? text.run.exit(step.exitCode) : null;
  const error = wentWrong(step.status) ? step.firstErrorLine : null;
  const about = [
    exit,
    step.reason,
    step.status === 'pending' && step.needs.length > 0 ? text.run.needs(step.needs.join(', ')) : null,
  ].filter((part) => part !== null);
  return (
    <li className={`rounded-card ${isCurrent ? 'bg-muted' : 'hover:bg-subtle'}`}>
      <button
        type="button"
        aria-current={isCurrent ? 'step' : undefined}
        onClick={() => onStep(step.name)}
        className="grid min-h-9 w-full grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-2.5 px-2.5 py-1.5 text-left"
      >
        <StatusIcon status={step.status} />
        <span className={`truncate ${step.status === 'pending' || step.status === 'skipped' ? 'text-text-2' : 'font-medium'}`}>
          {step.name}
        </span>
        <span className="text-text-2">
          <Duration from={step.startedAt} to={step.finishedAt} />
        </span>
        {about.length > 0 && <span className="col-start-2 col-end-4 text-meta text-text-2 wrap-anywhere">{about.join(' · ')}</span>}
      </button>
      {error !== null && (
        <p className="pr-2.5 pb-1.5 pl-9 text-meta">
          <button type="button" className="link target" onClick={() => onLine(error)}>
            {text.run.firstError(error)}
          </button>
        </p>
      )}
      {earlier.length > 0 && (
        <p className="flex flex-wrap gap-1.5 pr-2.5 pb-1.5 pl-9">
          {[...earlier, step].map(({ attempt, status }) => (
            <button
              key={attempt}
              type="button"
              onClick={() => onStep(step.name, attempt)}
              aria-label={text.run.attemptOf(attempt, text.status[status])}
              className="inline-flex h-6 items-center gap-1 rounded-full border border-border bg-bg px-2 text-meta text-text-2 hover:border-control hover:text-text"
            >
              <StatusIcon status={status} size={11} silent />
              {attempt}
            </button>
          ))}
        </p>
      )}
    </li>
  );
}
