import type { Step } from '@slipway/client';

import { useText } from '../text';
import { duration } from '../text/format';
import { useNow } from '../time';
import { shapes } from '../ui/shapes';
import { StatusIcon } from '../ui/StatusIcon';
import { Duration } from '../ui/Time';
import { isLive } from './status';
import type { StepsProps } from './Steps';

const TICKS = 3;

/** What ran when: a row a step, a bar an attempt. */
export function Timeline({ run, current, onStep }: StepsProps) {
  const text = useText();
  const live = isLive(run.status);
  const now = useNow(live ? 'second' : 'never');
  if (run.steps.length === 0) return <p className="p-4 text-text-2">{text.run.noSteps}</p>;
  const start = Date.parse(run.createdAt);
  const end = run.finishedAt === null ? Math.max(now, start + 1_000) : Date.parse(run.finishedAt);
  const span = Math.max(1, end - start);
  const share = (at: number) => `${(Math.min(Math.max(at - start, 0), span) / span) * 100}%`;
  const begun = run.startedAt === null ? end : Date.parse(run.startedAt);
  const bar = (step: Step) => {
    if (step.startedAt === null) return null;
    const from = Date.parse(step.startedAt);
    const to = step.finishedAt === null ? end : Date.parse(step.finishedAt);
    const colour = `var(--${shapes[step.status].colour})`;
    return (
      <span
        key={step.attempt}
        className="absolute inset-y-1 min-w-[3px] rounded-[2px]"
        style={{ left: share(from), width: `${((to - from) / span) * 100}%`, backgroundColor: colour }}
      />
    );
  };
  return (
    <div className="p-3">
      <div aria-hidden className="relative mb-1 h-4 text-caption text-text-2 tabular-nums">
        {Array.from({ length: TICKS + 1 }, (_, tick) => (
          <span
            key={tick}
            className="absolute"
            style={tick === TICKS ? { right: 0 } : { left: `${(tick / TICKS) * 100}%` }}
          >
            {tick === 0 ? '0' : duration((span * tick) / TICKS, text)}
          </span>
        ))}
      </div>
      <ol aria-label={text.run.timeline} className="flex flex-col gap-1">
        {run.steps.map((step) => (
          <li key={step.name}>
            <button
              type="button"
              onClick={() => onStep(step.name)}
              aria-current={step.name === current ? 'step' : undefined}
              className={`block w-full rounded-control px-1 py-1 text-left ${step.name === current ? 'bg-muted' : 'hover:bg-subtle'}`}
            >
              <span className="flex items-center gap-2">
                <StatusIcon status={step.status} size={13} />
                <span className="min-w-0 flex-1 truncate">{step.name}</span>
                <span className="text-meta text-text-2">
                  <Duration from={step.startedAt} to={step.finishedAt} />
                </span>
              </span>
              <span aria-hidden className="relative mt-1 block h-4 rounded-[3px] bg-muted">
                <span className="absolute inset-y-[7px] left-0 bg-control" style={{ width: share(begun) }} />
                {run.earlierSteps.filter(({ name }) => name === step.name).map(bar)}
                {bar(step)}
                {live && <span className="absolute inset-y-0 right-0 w-px bg-running" />}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
