import { useMemo, useRef, type KeyboardEvent, type ReactNode } from 'react';

import { useText } from '../text';
import { layOut, NODES_MAX, type Node, type Place } from './step-graph';

const NODE = { width: 168, height: 44 };
/** Between layers, and between the steps of one. */
const GAP = { along: { right: 44, down: 32 }, across: 14 };
const MARGIN = 16;
/** How an arrow key goes: to which layer, and to which place in it. */
const ARROWS: Record<Direction, Partial<Record<string, readonly [number, number]>>> = {
  right: { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] },
  down: { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] },
};

type Direction = 'right' | 'down';

interface Props<Step extends Node> {
  steps: readonly Step[];
  label: string;
  /** Where what comes later is drawn; without it, to where the drawing is narrower. */
  direction?: Direction;
  /** What to shorten to be done sooner. */
  critical?: ReadonlySet<string>;
  current: string | null;
  onStep: (step: Step) => void;
  face: (step: Step) => ReactNode;
}

/** Steps and what they need, in layers. The arrow keys go from step to step. */
export function StepGraph<Step extends Node>({ steps, label, direction: given, critical, current, onStep, face }: Props<Step>) {
  const text = useText();
  const area = useRef<HTMLDivElement>(null);
  // Not with each key that is pressed beside it.
  const graph = useMemo(() => (steps.length > NODES_MAX ? null : layOut(steps)), [steps]);
  if (graph === null) return <p className="p-4 text-text-2">{text.run.graphTooLarge}</p>;
  const { places, layers, edges } = graph;
  const widest = Math.max(...layers.map((layer) => layer.length));
  const direction = given ?? (widest <= layers.length ? 'down' : 'right');
  const isDown = direction === 'down';
  const along = (isDown ? NODE.height : NODE.width) + GAP.along[direction];
  const across = (isDown ? NODE.width : NODE.height) + GAP.across;
  const length = layers.length * along - GAP.along[direction] + 2 * MARGIN;
  const breadth = widest * across - GAP.across + 2 * MARGIN;
  const [width, height] = isDown ? [breadth, length] : [length, breadth];
  const at = ({ layer, index }: Place) => {
    const free = (widest - (layers[layer]?.length ?? 1)) * across;
    const [far, aside] = [MARGIN + layer * along, MARGIN + free / 2 + index * across];
    return isDown ? { x: aside, y: far } : { x: far, y: aside };
  };
  const line = (from: Place, to: Place) => {
    const [a, b] = [at(from), at(to)];
    if (isDown) {
      const [x1, y1, x2, y2] = [a.x + NODE.width / 2, a.y + NODE.height, b.x + NODE.width / 2, b.y];
      const bend = Math.max(14, (y2 - y1) / 2);
      return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
    }
    const [x1, y1, x2, y2] = [a.x + NODE.width, a.y + NODE.height / 2, b.x, b.y + NODE.height / 2];
    const bend = Math.max(18, (x2 - x1) / 2);
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  };
  const press = (event: KeyboardEvent, name: string) => {
    const place = places.get(name);
    if (place === undefined) return;
    const by = ARROWS[direction][event.key];
    if (by === undefined) return;
    event.preventDefault();
    const layer = layers[place.layer + by[0]] ?? [];
    const next = layer[Math.min(Math.max(place.index + by[1], 0), layer.length - 1)];
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
          return (
            <path
              key={`${from} ${to}`}
              d={line(a, b)}
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
