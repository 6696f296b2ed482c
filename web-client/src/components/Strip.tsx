import type { RunStatus, RunSummary } from '@slipway/client';
import { useNow } from '../time';
import { isLive } from '../run/status';
import { useText } from '../text';
import { shapes } from '../ui/shapes';
import { durationOf, quantile } from './stats';

const BAR = 5;
const GAP = 2;
const HEIGHT = 28;
const BAR_MIN = 4;

interface Props {
  /** Newest first, as lists are. */
  runs: readonly RunSummary[];
  places: number;
}

/** The latest runs, the newest at the right: as high as they took long, in the form and the colour of their status. */
export function Strip({ runs, places }: Props) {
  const text = useText();
  const shown = runs.slice(0, places).reverse();
  const now = useNow(shown.some(({ status }) => isLive(status)) ? 'second' : 'never');
  const durations = shown.map((run) => durationOf(run, now) ?? 0);
  const scale = Math.sqrt(Math.max(1, quantile(durations, 0.95)));
  const counts = new Map<RunStatus, number>();
  for (const { status } of shown) counts.set(status, (counts.get(status) ?? 0) + 1);
  const parts = [...counts].map(([status, count]) => `${count} ${text.status[status]}`).join(', ');
  const width = places * (BAR + GAP) - GAP;
  const start = places - shown.length;
  return (
    <svg
      role="img"
      aria-label={text.pipelines.strip(shown.length, parts)}
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      className="block"
    >
      {Array.from({ length: start }, (_, index) => (
        <rect key={index} x={index * (BAR + GAP)} y={HEIGHT - 2} width={BAR} height={2} fill="var(--border)" />
      ))}
      {shown.map((run, index) => {
        const share = Math.min(1, Math.sqrt(durations[index] ?? 0) / scale);
        return <Bar key={run.id} run={run} x={(start + index) * (BAR + GAP)} height={Math.max(BAR_MIN, share * HEIGHT)} />;
      })}
    </svg>
  );
}

function Bar({ run, x, height }: { run: RunSummary; x: number; height: number }) {
  const text = useText();
  const { status } = run;
  const y = HEIGHT - height;
  const colour = `var(--${shapes[status].colour})`;
  const title = <title>{`#${run.number} ${text.status[status]}`}</title>;
  if (status === 'canceled' || status === 'queued')
    return (
      <rect x={x + 0.75} y={y + 0.75} width={BAR - 1.5} height={height - 1.5} fill="none" stroke={colour} strokeWidth="1.5">
        {title}
      </rect>
    );
  if (status === 'failed' || status === 'timed_out' || status === 'waiting')
    // A cap that is cut off, so that a failure is one in grey as well.
    return (
      <g fill={colour}>
        {title}
        <rect x={x} y={y} width={BAR} height={Math.min(2.5, height)} />
        {height > 6 && <rect x={x} y={y + 4} width={BAR} height={height - 4} opacity={status === 'waiting' ? 0.5 : 1} />}
      </g>
    );
  return (
    <rect x={x} y={y} width={BAR} height={height} rx={1} fill={colour} opacity={status === 'succeeded' ? 0.85 : 1}>
      {title}
    </rect>
  );
}
