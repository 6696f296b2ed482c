import type { Run } from '@slipway/client';

import { useText } from '../text';
import { Duration } from '../ui/Time';

/** How far a run is that goes on, and for how long it has. */
export function Progress({ run }: { run: Pick<Run, 'progress' | 'startedAt'> }) {
  const text = useText();
  return (
    <span className="inline-flex items-center gap-2">
      <Duration from={run.startedAt} to={null} />
      <span
        role="progressbar"
        aria-label={text.runs.progress}
        aria-valuenow={run.progress}
        aria-valuemin={0}
        aria-valuemax={100}
        className="block h-1.5 w-10 overflow-hidden rounded-full bg-muted"
      >
        <span className="block h-full bg-running transition-[width] duration-180" style={{ width: `${run.progress}%` }} />
      </span>
    </span>
  );
}
