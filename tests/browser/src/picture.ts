// A picture of a page against the one on record.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';

/** The documents' pictures are the record, so that neither gets old without the other. */
export const RECORD = join(import.meta.dirname, '../../../docs/pictures');
const EVIDENCE = join(import.meta.dirname, '../../../target/pictures');

/** A square of a page, in pixels a side, and how many of its pixels may differ: a letter that is another is more. */
const SQUARE = 64;
const DIFFERENT_MAX = 12;

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Difference {
  what: string;
  marked?: Buffer;
}

/** What is wrong with a picture; none: it is as on record, but for what lies in the boxes. */
export function difference(name: string, taken: Buffer, ignored: Box[]): Difference | null {
  const file = join(RECORD, `${name}.png`);
  if (!existsSync(file)) return { what: 'there is none on record' };
  const [is, was] = [PNG.sync.read(taken), PNG.sync.read(readFileSync(file))];
  const { width, height } = is;
  if (was.width !== width || was.height !== height)
    return { what: `${width} × ${height}, and ${was.width} × ${was.height} on record` };
  const marked = new PNG({ width, height });
  const ignoreMask = maskOf(width, height, ignored);
  const count = pixelmatch(was.data, is.data, marked.data, width, height, { windowSize: SQUARE, ignoreMask });
  if (count <= DIFFERENT_MAX) return null;
  return { what: `${count} pixels of a square differ from what is on record`, marked: PNG.sync.write(marked) };
}

function maskOf(width: number, height: number, boxes: Box[]): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const box of boxes) {
    const [left, right] = [Math.max(0, Math.floor(box.x)), Math.min(width, Math.ceil(box.x + box.width))];
    const [top, bottom] = [Math.max(0, Math.floor(box.y)), Math.min(height, Math.ceil(box.y + box.height))];
    for (let y = top; y < bottom; y += 1) mask.fill(1, y * width + left, y * width + right);
  }
  return mask;
}

/** Leaves a picture for people to look at, and says where. */
export function keep(name: string, taken: Buffer, { what, marked }: Difference): string {
  mkdirSync(EVIDENCE, { recursive: true });
  writeFileSync(join(EVIDENCE, `${name}.png`), taken);
  if (marked !== undefined) writeFileSync(join(EVIDENCE, `${name}-marked.png`), marked);
  return `${name}: ${what} (see target/pictures/${name}.png)`;
}
