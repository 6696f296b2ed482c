import { useLanguage } from '../../text';
import { timeOfDay } from '../../text/format';
import { roundUp } from './buckets';

const HEIGHT = 100;
const TICKS = 2;

type Kind = 'area' | 'line' | 'dashes' | 'bars';

export interface Series {
  name: string;
  kind: Kind;
  /** The name of its colour, as in `var(--failed)`. */
  colour: string;
  values: readonly (number | null)[];
}

interface Props {
  title: string;
  /** What it shows in words, for whoever does not see it. */
  summary: string;
  at: readonly number[];
  /** Bars stand upon each other. */
  series: readonly Series[];
  say: (value: number) => string;
}

/** Numbers over time: each series in a form of its own, so that none is told by its colour alone. */
export function Chart({ title, summary, at, series, say }: Props) {
  const language = useLanguage();
  const stacked = at.map((_, index) =>
    series.reduce((sum, { kind, values }) => (kind === 'bars' ? sum + (values[index] ?? 0) : sum), 0),
  );
  // The middle of the axis is a whole number too.
  const top = roundUp(Math.max(2, ...stacked, ...series.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  const bases = at.map(() => 0);
  return (
    <figure className="flex min-w-0 flex-col gap-4 rounded-card border border-border p-4">
      <figcaption className="flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <span className="flex-1 font-semibold whitespace-nowrap">{title}</span>
        {series.map(({ name, kind, colour }) => (
          <span key={name} className="inline-flex items-center gap-1.5 text-meta text-text-2">
            <svg viewBox="0 0 14 10" width="14" height="10" aria-hidden>
              <Mark kind={kind} colour={colour} />
            </svg>
            {name}
          </span>
        ))}
      </figcaption>
      <div className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2 text-caption text-text-2 tabular-nums">
        <div aria-hidden className="relative min-w-6 text-right">
          <span className="invisible whitespace-nowrap">{say(top)}</span>
          {Array.from({ length: TICKS + 1 }, (_, tick) => (
            <span key={tick} className="absolute right-0 -translate-y-1/2 whitespace-nowrap" style={{ top: `${(tick / TICKS) * 100}%` }}>
              {say(top * (1 - tick / TICKS))}
            </span>
          ))}
        </div>
        <svg
          role="img"
          aria-label={`${title}: ${summary}`}
          viewBox={`0 0 ${at.length} ${HEIGHT}`}
          preserveAspectRatio="none"
          className="block h-28 w-full overflow-visible"
        >
          {Array.from({ length: TICKS + 1 }, (_, tick) => (
            <line
              key={tick}
              x1={0}
              x2={at.length}
              y1={(tick / TICKS) * HEIGHT}
              y2={(tick / TICKS) * HEIGHT}
              stroke="var(--border)"
              vectorEffect="non-scaling-stroke"
            />
          ))}
          {series.map(({ name, kind, colour, values }) => {
            if (kind === 'bars')
              return values.map((value, index) => {
                if (value === null || value === 0) return null;
                const base = bases[index] ?? 0;
                bases[index] = base + value;
                const height = (value / top) * HEIGHT;
                return <rect key={`${name}${index}`} x={index + 0.1} width={0.8} y={y(base + value)} height={height} fill={`var(--${colour})`} />;
              });
            return <Line key={name} kind={kind} colour={colour} values={values} y={y} />;
          })}
          {at.map((time, index) => (
            <rect key={time} x={index} width={1} y={0} height={HEIGHT} fill="transparent">
              <title>{spoken(timeOfDay(time, language), series, index, say)}</title>
            </rect>
          ))}
        </svg>
        <span />
        <div aria-hidden className="flex justify-between pt-1">
          {[0, Math.floor(at.length / 2), at.length - 1].map((index) => (
            <span key={index}>{timeOfDay(at[index] ?? 0, language)}</span>
          ))}
        </div>
      </div>
    </figure>
  );
}

function spoken(time: string, series: readonly Series[], index: number, say: (value: number) => string): string {
  const parts = series.flatMap(({ name, values }) => {
    const value = values[index];
    return value === null || value === undefined ? [] : [`${name} ${say(value)}`];
  });
  return `${time}: ${parts.length === 0 ? '–' : parts.join(', ')}`;
}

interface LineProps {
  kind: Kind;
  colour: string;
  values: readonly (number | null)[];
  y: (value: number) => number;
}

/** Broken where nothing is known. A value that stands alone is a short stroke. */
function Line({ kind, colour, values, y }: LineProps) {
  const parts: { x: number; y: number }[][] = [[]];
  values.forEach((value, index) => {
    if (value !== null) parts.at(-1)?.push({ x: index + 0.5, y: y(value) });
    else if (parts.at(-1)?.length !== 0) parts.push([]);
  });
  return parts
    .filter((part) => part.length > 0)
    .map((part) => {
      const [first, last] = [part[0]?.x ?? 0, part.at(-1)?.x ?? 0];
      const through = part.map((each) => `L${each.x} ${each.y}`).join('');
      const [begin, end] = [part[0]?.y ?? 0, part.at(-1)?.y ?? 0];
      const line = `M${first - 0.5} ${begin}${through}L${last + 0.5} ${end}`;
      return (
        <g key={first}>
          {kind === 'area' && <path d={`${line}V${HEIGHT}H${first - 0.5}Z`} fill={`var(--${colour})`} opacity={0.18} />}
          <path
            d={line}
            fill="none"
            stroke={`var(--${colour})`}
            strokeWidth={1.75}
            strokeLinejoin="round"
            vectorEffect="non-scaling-stroke"
            {...(kind === 'dashes' ? { strokeDasharray: '4 3' } : {})}
          />
        </g>
      );
    });
}

function Mark({ kind, colour }: Pick<Series, 'kind' | 'colour'>) {
  const ink = `var(--${colour})`;
  if (kind === 'bars') return <rect x={3} y={1} width={8} height={8} fill={ink} />;
  return (
    <>
      {kind === 'area' && <rect y={3} width={14} height={7} fill={ink} opacity={0.18} />}
      <path d={kind === 'area' ? 'M0 3h14' : 'M0 5h14'} stroke={ink} strokeWidth={2} {...(kind === 'dashes' ? { strokeDasharray: '4 2' } : {})} />
    </>
  );
}
