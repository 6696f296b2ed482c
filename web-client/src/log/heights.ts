import { HEAD_HEIGHT, LINE_HEIGHT, type Layout } from './layout';

/** Measured lines that are remembered; a change of the width forgets them. */
const MEASURED_MAX = 20_000;
/** A log of so few rows has its height added up, row by row, so that its scrollbar is right where lines are wrapped. */
const ADDED_UP_MAX = 5_000;

/** How high each row is: as it was measured, or as it is assumed. */
export class Heights {
  private readonly measured = new Map<number, number>();
  private tops: Float64Array | null = null;

  constructor(
    private layout: Layout,
    private readonly isHidden: (n: number) => boolean,
  ) {}

  use(layout: Layout): void {
    this.layout = layout;
    this.tops = null;
  }

  forget(): void {
    this.measured.clear();
    this.tops = null;
  }

  get rows(): number {
    return this.layout.rows;
  }

  of(row: number): number {
    const item = this.layout.item(row);
    if (item === undefined) return 0;
    if (item.kind === 'head') return HEAD_HEIGHT;
    if (this.isHidden(item.n)) return 0;
    return this.measured.get(item.n) ?? LINE_HEIGHT;
  }

  /** Whether that is news. */
  measure(n: number, height: number): boolean {
    if ((this.measured.get(n) ?? LINE_HEIGHT) === height) return false;
    if (this.measured.size >= MEASURED_MAX) this.measured.clear();
    this.measured.set(n, height);
    this.tops = null;
    return true;
  }

  get total(): number {
    return this.isAddedUp ? (this.added()[this.layout.rows] ?? 0) : this.layout.height;
  }

  topOf(row: number): number {
    return this.isAddedUp ? (this.added()[row] ?? 0) : this.layout.topOf(row);
  }

  at(pixels: number): { row: number; off: number } {
    if (!this.isAddedUp) return this.layout.at(pixels);
    const tops = this.added();
    let low = 0;
    let high = this.layout.rows;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((tops[middle] ?? 0) <= pixels) low = middle;
      else high = middle;
    }
    return { row: low, off: Math.max(0, pixels - (tops[low] ?? 0)) };
  }

  private get isAddedUp(): boolean {
    return this.measured.size > 0 && this.layout.rows <= ADDED_UP_MAX;
  }

  private added(): Float64Array {
    if (this.tops !== null) return this.tops;
    const tops = new Float64Array(this.layout.rows + 1);
    for (let row = 0; row < this.layout.rows; row += 1) tops[row + 1] = (tops[row] ?? 0) + this.of(row);
    this.tops = tops;
    return tops;
  }
}
