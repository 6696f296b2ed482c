// Where the steps stand that need each other: in layers, what is needed before what needs it, ordered so that few lines cross.

export interface Node {
  name: string;
  needs: readonly string[];
}

/** Above this many, a drawing helps nobody. */
export const NODES_MAX = 500;
const SWEEPS = 6;

export interface Place {
  layer: number;
  /** From the beginning of its layer. */
  index: number;
}

export interface Graph {
  places: Map<string, Place>;
  layers: string[][];
  edges: { from: string; to: string }[];
}

export function layOut(steps: readonly Node[]): Graph {
  const known = new Set(steps.map(({ name }) => name));
  const needs = new Map(steps.map(({ name, needs }) => [name, [...new Set(needs)].filter((each) => known.has(each))]));
  const edges = [...needs].flatMap(([to, froms]) => froms.map((from) => ({ from, to })));
  const layerOf = ranks(needs);
  const layers = Array.from({ length: Math.max(0, ...layerOf.values()) + 1 }, (): string[] => []);
  for (const { name } of steps) layers[layerOf.get(name) ?? 0]?.push(name);
  const followers = new Map<string, string[]>();
  for (const { from, to } of edges) followers.set(from, [...(followers.get(from) ?? []), to]);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    const neighbours = isDown ? needs : followers;
    const order = isDown ? layers : [...layers].reverse();
    for (const layer of order) arrange(layer, neighbours, indices(layers));
  }
  const places = new Map<string, Place>();
  layers.forEach((names, layer) => names.forEach((name, index) => places.set(name, { layer, index })));
  return { places, layers, edges };
}

/** One more than the highest of what it needs. A circle, which the server refuses, ends where it is met. */
function ranks(needs: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  const rank = new Map<string, number>();
  const open = new Set<string>();
  const visit = (name: string): number => {
    const known = rank.get(name);
    if (known !== undefined) return known;
    if (open.has(name)) return 0;
    open.add(name);
    const own = Math.max(-1, ...(needs.get(name) ?? []).map(visit)) + 1;
    rank.set(name, own);
    return own;
  };
  for (const name of needs.keys()) visit(name);
  return rank;
}

function indices(layers: readonly string[][]): Map<string, number> {
  const at = new Map<string, number>();
  for (const layer of layers) layer.forEach((name, index) => at.set(name, index / Math.max(1, layer.length - 1)));
  return at;
}

/** Each to the middle of its neighbours; what has none keeps its place. */
function arrange(layer: string[], neighbours: ReadonlyMap<string, readonly string[]>, at: ReadonlyMap<string, number>): void {
  const weight = new Map(
    layer.map((name) => {
      const others = (neighbours.get(name) ?? []).map((each) => at.get(each) ?? 0);
      const middle = others.reduce((sum, each) => sum + each, 0) / Math.max(1, others.length);
      return [name, others.length === 0 ? (at.get(name) ?? 0) : middle] as const;
    }),
  );
  layer.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0));
}
