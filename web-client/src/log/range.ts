// `#L120` and `#L120-L160`: a line, or lines, in an address.

export interface Range {
  from: number;
  to: number;
}

export function parseRange(hash: string): Range | null {
  const found = /^#?L(\d{1,15})(?:-L(\d{1,15}))?$/.exec(hash);
  if (found === null) return null;
  const [a, b] = [Number(found[1]), Number(found[2] ?? found[1])];
  if (a < 1 || b < 1) return null;
  return { from: Math.min(a, b), to: Math.max(a, b) };
}

export function formatRange({ from, to }: Range): string {
  return from === to ? `L${from}` : `L${from}-L${to}`;
}
