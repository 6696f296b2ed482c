// Matches within the lines that are drawn, marked without touching them: CSS Custom Highlight API. Without it there are the
// line that is looked at and the marks beside the scrollbar.

const ALL = 'log-hit';
const NOW = 'log-hit-now';
/** Of one line; what is drawn is bounded too. */
const RANGES_MAX = 200;

/** Keeps the marks at what is drawn, until it is closed. */
export class Highlights {
  private static now = 0;
  private static redraw: (() => void) | null = null;
  private readonly pattern: RegExp | null;
  private readonly observer: MutationObserver;
  private frame: number | undefined;

  constructor(
    private readonly root: HTMLElement,
    text: string,
    isRegex: boolean,
    matchCase: boolean,
  ) {
    this.pattern = patternOf(text, isRegex, matchCase);
    this.observer = new MutationObserver(() => this.drawSoon());
    this.observer.observe(root, { childList: true, subtree: true });
    Highlights.redraw = () => this.drawSoon();
    this.drawSoon();
  }

  /** Which line is looked at. */
  static setNow(n: number): void {
    Highlights.now = n;
    Highlights.redraw?.();
  }

  close(): void {
    this.observer.disconnect();
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    Highlights.redraw = null;
    globalThis.CSS?.highlights?.delete(ALL);
    globalThis.CSS?.highlights?.delete(NOW);
  }

  private drawSoon(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  private draw(): void {
    const highlights = globalThis.CSS?.highlights;
    if (highlights === undefined || this.pattern === null) return;
    const all: Range[] = [];
    const now: Range[] = [];
    for (const row of this.root.querySelectorAll('[role=listitem]:not([hidden])')) {
      const content = row.querySelector('.log-text');
      const n = Number(row.querySelector<HTMLElement>('[data-n]')?.dataset['n'] ?? 0);
      if (content !== null) (n === Highlights.now ? now : all).push(...rangesIn(content, this.pattern));
    }
    highlights.set(ALL, new Highlight(...all));
    highlights.set(NOW, new Highlight(...now));
  }
}

export function patternOf(text: string, isRegex: boolean, matchCase: boolean): RegExp | null {
  if (text === '') return null;
  try {
    return new RegExp(isRegex ? text : text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), matchCase ? 'gu' : 'giu');
  } catch {
    // The server knows another syntax, and says what it finds.
    return null;
  }
}

function rangesIn(content: Element, pattern: RegExp): Range[] {
  const nodes: { node: Text; start: number }[] = [];
  const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
  let text = '';
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    if (!(node instanceof Text)) continue;
    nodes.push({ node, start: text.length });
    text += node.data;
  }
  const ranges: Range[] = [];
  for (const match of text.matchAll(pattern)) {
    if (match[0] === '' || ranges.length >= RANGES_MAX) break;
    const range = document.createRange();
    const from = placeOf(nodes, match.index);
    const to = placeOf(nodes, match.index + match[0].length - 1);
    if (from === null || to === null) continue;
    range.setStart(from.node, from.offset);
    range.setEnd(to.node, to.offset + 1);
    ranges.push(range);
  }
  return ranges;
}

function placeOf(nodes: { node: Text; start: number }[], at: number): { node: Text; offset: number } | null {
  const found = nodes.findLast(({ start }) => start <= at);
  return found === undefined ? null : { node: found.node, offset: at - found.start };
}
