import type { Step } from '@slipway/client';
import { useRef, type KeyboardEvent } from 'react';

import { useText } from '../text';
import { StatusIcon } from '../ui/StatusIcon';
import { Duration } from '../ui/Time';
import { criticalPath, layOut, NODES_MAX, type Place } from './graph';
import type { StepsProps } from './Steps';

const NODE = { width: 168, height: 44 };
const GAP = { x: 44, y: 14 };
const MARGIN = 16;

/** The steps and what they need, drawn from left to right. The arrow keys go from step to step. */
export function Graph({ run, current, onStep }: StepsProps) {
  const text = useText();
  const area = useRef<HTMLDivElement>(null);
  if (run.steps.length === 0) return <p className="p-4 text-text-2">{text.run.noSteps}</p>;
  if (run.steps.length > NODES_MAX) return <p className="p-4 text-text-2">{text.run.graphTooLarge}</p>;
  const { places, layers, edges } = layOut(run.steps);
  const rows = Math.max(...layers.map(({ length }) => length));
  const width = layers.length * (NODE.width + GAP.x) - GAP.x + 2 * MARGIN;
  const height = rows * (NODE.height + GAP.y) - GAP.y + 2 * MARGIN;
  const critical = criticalPath(run.steps);
  const at = ({ layer, index }: Place) => {
    const own = layers[layer]?.length ?? 1;
    const free = (rows - own) * (NODE.height + GAP.y);
    return { x: MARGIN + layer * (NODE.width + GAP.x), y: MARGIN + free / 2 + index * (NODE.height + GAP.y) };
  };
  const press = (event: KeyboardEvent<HTMLButtonElement>, name: string) => {
    const place = places.get(name);
    if (place === undefined) return;
    const by = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const layer = layers[place.layer + (by[0] ?? 0)] ?? [];
    const next = layer[Math.min(Math.max(place.index + (by[1] ?? 0), 0), layer.length - 1)];
    area.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next ?? '')}"]`)?.focus();
  };
  return (
    <div ref={area} role="group" aria-label={text.run.graph} className="relative" style={{ width, height }}>
      <svg aria-hidden width={width} height={height} className="absolute inset-0">
        {edges.map(({ from, to }) => {
          const [a, b] = [places.get(from), places.get(to)];
          if (a === undefined || b === undefined) return null;
          const isCritical = critical.has(from) && critical.has(to);
          const [start, end] = [at(a), at(b)];
          const [x1, y1] = [start.x + NODE.width, start.y + NODE.height / 2];
          const [x2, y2] = [end.x, end.y + NODE.height / 2];
          const bend = Math.max(18, (x2 - x1) / 2);
          return (
            <path
              key={`${from} ${to}`}
              d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}
              fill="none"
              stroke={isCritical ? 'var(--text-2)' : 'var(--control)'}
              strokeWidth={isCritical ? 2.25 : 1.25}
              opacity={isCritical ? 1 : 0.7}
            />
          );
        })}
      </svg>
      <ol>
        {layers.flat().map((name) => {
          const step = run.steps.find((each) => each.name === name);
          const place = places.get(name);
          if (step === undefined || place === undefined) return null;
          const { x, y } = at(place);
          return (
            <li key={name} className="absolute" style={{ left: x, top: y, width: NODE.width, height: NODE.height }}>
              <Node step={step} isCurrent={name === current} onClick={() => onStep(name)} onKeyDown={(event) => press(event, name)} />
            </li>
          );
        })}
      </ol>
    </div>
  );
}

interface NodeProps {
  step: Step;
  isCurrent: boolean;
  onClick: () => void;
  onKeyDown: (event: KeyboardEvent<HTMLButtonElement>) => void;
}

function Node({ step, isCurrent, onClick, onKeyDown }: NodeProps) {
  const text = useText();
  return (
    <button
      type="button"
      data-node={step.name}
      aria-current={isCurrent ? 'step' : undefined}
      onClick={onClick}
      onKeyDown={onKeyDown}
      className={`flex size-full items-center gap-2 rounded-card border bg-bg px-2.5 text-left hover:bg-subtle ${isCurrent ? 'border-accent' : 'border-border'}`}
    >
      <StatusIcon status={step.status} />
      <span className="min-w-0 flex-1">
        <span className="block truncate font-medium">{step.name}</span>
        <span className="block truncate text-meta text-text-2">
          {step.startedAt === null ? text.status[step.status] : <Duration from={step.startedAt} to={step.finishedAt} />}
        </span>
      </span>
    </button>
  );
}
