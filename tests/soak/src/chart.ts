// Lines over time as an SVG: a panel for each quantity, one below the other.

export interface Panel {
  title: string;
  unit: string;
  values: number[];
}

const WIDTH = 900;
const HEIGHT = 140;
const LEFT = 90;
const TOP = 30;
const ROOM = 20;

function points(values: number[], max: number): string {
  const x = (index: number) => LEFT + (index / Math.max(1, values.length - 1)) * (WIDTH - LEFT - ROOM);
  const y = (value: number) => HEIGHT - ROOM - (value / max) * (HEIGHT - TOP - ROOM);
  return values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
}

function panel({ title, unit, values }: Panel, index: number): string {
  const max = Math.max(...values, 1e-9);
  const bottom = HEIGHT - ROOM;
  return `<g transform="translate(0 ${index * HEIGHT})">
<text x="${LEFT}" y="18" font-weight="bold">${title}</text>
<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end">${max.toPrecision(3)} ${unit}</text>
<text x="${LEFT - 6}" y="${bottom}" text-anchor="end">0</text>
<path d="M${LEFT} ${TOP}V${bottom}H${WIDTH - ROOM}" fill="none" stroke="#999"/>
<polyline points="${points(values, max)}" fill="none" stroke="#06c" stroke-width="1.5"/>
</g>`;
}

export function chart(panels: Panel[]): string {
  const height = panels.length * HEIGHT;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${panels.map(panel).join('\n')}
</svg>
`;
}
