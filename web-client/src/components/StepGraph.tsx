import { useRef, type KeyboardEvent, type ReactNode } from 'react';

import { useText } from '../text';
import { layOut, NODES_MAX, type Node, type Place } from './step-graph';

const NODE = { width: 168, height: 44 };
const GAP = { x: 44, y: 14 };
const MARGIN = 16;

interface Props<Step extends Node> {
  steps: readonly Step[];
  label: string;
  /** What to shorten to be done sooner. */
  critical?: ReadonlySet<string>;
  current: string | null;
  onStep: (step: Step) => void;
  face: (step: Step) => ReactNode;
}

/** Steps and what they need, drawn from left to right. The arrow keys go from step to step. */
export function StepGraph<Step extends Node>({ steps, label, critical, current, onStep, face }: Props<Step>) {
  const text = useText();
  const area = useRef<HTMLDivElement>(null);
  if (steps.length > NODES_MAX) return <p className="p-4 text-text-2">{text.run.graphTooLarge}</p>;
  const { places, layers, edges } = layOut(steps);
  const rows = Math.max(...layers.map(({ length }) => length));
  const width = layers.length * (NODE.width + GAP.x) - GAP.x + 2 * MARGIN;
  const height = rows * (NODE.height + GAP.y) - GAP.y + 2 * MARGIN;
  const at = ({ layer, index }: Place) => {
    const own = layers[layer]?.length ?? 1;
    const free = (rows - own) * (NODE.height + GAP.y);
    return { x: MARGIN + layer * (NODE.width + GAP.x), y: MARGIN + free / 2 + index * (NODE.height + GAP.y) };
  };
  const press = (event: KeyboardEvent, name: string) => {
    const place = places.get(name);
    if (place === undefined) return;
    const by = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const layer = layers[place.layer + (by[0] ?? 0)] ?? [];
    const next = layer[Math.min(Math.max(place.index + (by[1] ?? 0), 0), layer.length - 1)];
    area.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next ?? '')}"]`)?.focus();
  };
  const byName = new Map(steps.map((step) => [step.name, step]));
  return (
    <div ref={area} role="group" aria-label={label} className="relative" style={{ width, height }}>
      <svg aria-hidden width={width} height={height} className="absolute inset-0">
        {edges.map(({ from, to }) => {
          const [a, b] = [places.get(from), places.get(to)];
          if (a === undefined || b === undefined) return null;
          const isCritical = critical?.has(from) === true && critical.has(to);
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
          const step = byName.get(name);
          const place = places.get(name);
          if (step === undefined || place === undefined) return null;
          const { x, y } = at(place);
          return (
            <li key={name} className="absolute" style={{ left: x, top: y, width: NODE.width, height: NODE.height }}>
              <button
                type="button"
                data-node={name}
                aria-current={name === current ? 'step' : undefined}
                onClick={() => onStep(step)}
                onKeyDown={(event) => press(event, name)}
                className={`flex size-full items-center gap-2 rounded-card border bg-bg px-2.5 text-left hover:bg-subtle ${name === current ? 'border-accent' : 'border-border'}`}
              >
                {face(step)}
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

/** What a step is called, and a word about it. */
export function Face({ name, children }: { name: string; children: ReactNode }) {
  return (
    <span className="min-w-0 flex-1">
      <span className="block truncate font-medium">{name}</span>
      <span className="block truncate text-meta text-text-2">{children}</span>
    </span>
  );
}
