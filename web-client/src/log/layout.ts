// What stands in which row: the lines, and before each attempt of a step its head. A row may be many: nothing here costs
// more than there are attempts.

export const LINE_HEIGHT = 20;
export const HEAD_HEIGHT = 32;

/** What one attempt of a step printed. */
export interface Segment {
  id: string;
  step: string;
  attempt: number;
  /** The numbers of its first and last line. */
  first: number;
  last: number;
}

export type Item = { kind: 'head'; segment: Segment } | { kind: 'line'; n: number };

interface Block {
  segment: Segment | null;
  /** Of lines: the first one's number. */
  from: number;
  rows: number;
  row: number;
  top: number;
}

export class Layout {
  readonly rows: number;
  readonly height: number;
  private readonly blocks: Block[] = [];
  private readonly alone = new Set<string>();

  /**
   * @param total how many lines there are
   * @param segments in whatever order
   * @param folded ids of segments whose lines are hidden; those that are mixed with others do not fold
   * @param only where it is given, nothing but this segment is there
   */
  constructor(
    readonly total: number,
    segments: readonly Segment[],
    readonly folded: ReadonlySet<string> = new Set(),
    readonly only: string | null = null,
  ) {
    let row = 0;
    let top = 0;
    const add = (segment: Segment | null, from: number, rows: number) => {
      if (rows <= 0) return;
      this.blocks.push({ segment, from, rows, row, top });
      row += rows;
      top += segment === null ? rows * LINE_HEIGHT : HEAD_HEIGHT;
    };
    const ordered = [...segments].sort((a, b) => a.first - b.first || a.last - b.last);
    let reach = 0;
    ordered.forEach((segment, index) => {
      const next = ordered[index + 1];
      if (reach < segment.first && (next === undefined || segment.last < next.first)) this.alone.add(segment.id);
      reach = Math.max(reach, segment.last);
    });
    const shown = ordered.find(({ id }) => id === only && this.alone.has(id));
    if (shown !== undefined) {
      add(shown, shown.first, 1);
      add(null, shown.first, Math.min(shown.last, total) - shown.first + 1);
    } else {
      let n = 1;
      for (const segment of ordered) {
        if (segment.first > total) break;
        add(null, n, segment.first - n);
        n = segment.first;
        add(segment, segment.first, 1);
        if (this.isFolded(segment)) n = Math.min(segment.last, total) + 1;
      }
      add(null, n, total - n + 1);
    }
    this.rows = row;
    this.height = top;
  }

  /** Whether its lines stand together, so that they can be hidden or shown alone. */
  isAlone(segment: Segment): boolean {
    return this.alone.has(segment.id);
  }

  isFolded(segment: Segment): boolean {
    return this.folded.has(segment.id) && this.isAlone(segment);
  }

  item(row: number): Item | undefined {
    const block = this.find((each) => each.row <= row);
    if (block === undefined || row >= block.row + block.rows) return undefined;
    if (block.segment !== null) return { kind: 'head', segment: block.segment };
    return { kind: 'line', n: block.from + (row - block.row) };
  }

  /** The row of a line; of one that is hidden, the row that stands for it. */
  rowOf(n: number): number {
    const block = this.find((each) => each.from <= n);
    if (block === undefined) return 0;
    if (block.segment !== null) return block.row;
    return block.row + Math.min(n - block.from, block.rows - 1);
  }

  topOf(row: number): number {
    const block = this.find((each) => each.row <= row);
    if (block === undefined) return 0;
    return block.top + (row - block.row) * LINE_HEIGHT;
  }

  /** The row at a height, and how far into it that is. */
  at(pixels: number): { row: number; off: number } {
    if (this.rows === 0) return { row: 0, off: 0 };
    const block = this.find((each) => each.top <= pixels);
    if (block === undefined) return { row: 0, off: 0 };
    const into = Math.max(0, pixels - block.top);
    if (block.segment !== null) return { row: block.row, off: Math.min(into, HEAD_HEIGHT) };
    const index = Math.min(Math.floor(into / LINE_HEIGHT), block.rows - 1);
    return { row: block.row + index, off: Math.min(into - index * LINE_HEIGHT, LINE_HEIGHT) };
  }

  /** The segment that a row is part of, or stands behind. */
  segmentAt(row: number): Segment | null {
    let low = this.indexOf((each) => each.row <= row);
    for (; low >= 0; low -= 1) {
      const segment = this.blocks[low]?.segment;
      if (segment) return segment;
    }
    return null;
  }

  /** The last block that still fulfils what the first ones do. */
  private find(isBefore: (block: Block) => boolean): Block | undefined {
    return this.blocks[this.indexOf(isBefore)];
  }

  private indexOf(isBefore: (block: Block) => boolean): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = this.blocks[middle];
      if (block !== undefined && isBefore(block)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
