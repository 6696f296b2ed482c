import type { RunSummary } from '@slipway/client';

import { useText } from '../text';
import { duration } from '../text/format';

const WIDTH = 72;
const HEIGHT = 24;
/** Fewer say nothing of a trend. */
const RUNS_MIN = 3;

/** How long the runs took that went well, the newest at the right. */
export function Sparkline({ runs }: { runs: readonly RunSummary[] }) {
  const text = useText();
  const durations = runs
    .filter(({ status, durationMs }) => status === 'succeeded' && durationMs !== null)
    .map(({ durationMs }) => durationMs ?? 0)
    .reverse();
  const [first, last] = [durations[0], durations.at(-1)];
  if (durations.length < RUNS_MIN || first === undefined || last === undefined) return null;
  const top = Math.max(1, ...durations);
  const x = (index: number) => 2 + (index / (durations.length - 1)) * (WIDTH - 5);
  const y = (ms: number) => HEIGHT - 3 - (ms / top) * (HEIGHT - 6);
  return (
    <svg
      role="img"
      aria-label={text.pipelines.trendOf(durations.length, duration(first, text), duration(last, text))}
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      className="block text-text-2"
    >
      <path
        d={durations.map((ms, index) => `${index === 0 ? 'M' : 'L'}${x(index).toFixed(1)} ${y(ms).toFixed(1)}`).join('')}
        fill="none"
        stroke="currentColor"
        strokeWidth={1.5}
        strokeLinejoin="round"
      />
      <circle cx={x(durations.length - 1)} cy={y(last)} r={2} fill="currentColor" />
    </svg>
  );
}
