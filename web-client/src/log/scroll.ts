// Browsers cut off elements above some height (Chromium: 16.7 million pixels at a device pixel ratio of 2), and a long log
// is higher than that. So the scrolled element is lower than the log, and its middle stands for more than it is.

/** Safe up to a device pixel ratio of 4. */
export const NATIVE_MAX = 8_000_000;
/** Of both ends, as much is one to one. */
export const EDGE = 200_000;

/** Between pixels of the log and pixels of the scrolled element. Both directions rise, and meet at both ends. */
export class ScrollMap {
  readonly native: number;
  private readonly ratio: number;

  /** @param content the height of the log */
  constructor(readonly content: number) {
    this.native = Math.min(content, NATIVE_MAX);
    this.ratio = content <= NATIVE_MAX ? 1 : (content - 2 * EDGE) / (NATIVE_MAX - 2 * EDGE);
  }

  toContent(y: number): number {
    if (this.ratio === 1 || y <= EDGE) return y;
    if (y >= this.native - EDGE) return this.content - (this.native - y);
    return EDGE + (y - EDGE) * this.ratio;
  }

  toNative(pixels: number): number {
    if (this.ratio === 1 || pixels <= EDGE) return pixels;
    if (pixels >= this.content - EDGE) return this.native - (this.content - pixels);
    return EDGE + (pixels - EDGE) / this.ratio;
  }
}
