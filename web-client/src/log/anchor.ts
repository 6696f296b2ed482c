import type { Heights } from './heights';

/** A place in a log: so many pixels below the top of a row. */
export interface Anchor {
  readonly row: number;
  readonly off: number;
}

export const TOP: Anchor = { row: 0, off: 0 };

/** So many pixels further down, or up; within the rows. */
export function walk({ row, off }: Anchor, pixels: number, heights: Heights): Anchor {
  off += pixels;
  while (off < 0 && row > 0) {
    row -= 1;
    off += heights.of(row);
  }
  let height = heights.of(row);
  while (off >= height && row < heights.rows - 1) {
    off -= height;
    row += 1;
    height = heights.of(row);
  }
  return { row, off: Math.max(0, off) };
}

/** The place from which the last row ends where the view does. */
export function endOf(heights: Heights, viewport: number): Anchor {
  let row = heights.rows;
  let room = viewport;
  while (row > 0 && room > 0) {
    row -= 1;
    room -= heights.of(row);
  }
  return { row, off: Math.max(0, -room) };
}

/** Whether there are at most so many pixels from one place down to another. */
export function isWithin(pixels: number, from: Anchor, to: Anchor, heights: Heights): boolean {
  let left = to.off - from.off;
  for (let row = from.row; row < to.row && left <= pixels; row += 1) left += heights.of(row);
  return from.row > to.row || left <= pixels;
}

/** The upper one of two. */
export function upper(a: Anchor, b: Anchor): Anchor {
  return a.row > b.row || (a.row === b.row && a.off > b.off) ? b : a;
}
