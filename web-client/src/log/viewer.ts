// Draws the rows around one place of a log. That place, the anchor, is the truth; the browser's scroller is an input
// device: small movements walk the anchor by exactly as many pixels, great ones are looked up in the scroll map.

import { endOf, isWithin, TOP, upper, walk, type Anchor } from './anchor';
import { Heights } from './heights';
import { Layout, LINE_HEIGHT, type Segment } from './layout';
import type { LogModel } from './model';
import type { Range } from './range';
import { Row } from './rows';
import { ScrollMap } from './scroll';
import { Styles } from './styles';
import type { Look, View, Words } from './view';

/** Rows that are drawn above and below what is seen, so that the browser may scroll before we draw. */
const OVERSCAN_ROWS = 40;
const OVERSCAN_JUMPING_ROWS = 2;
const JUMP_PIXELS_MIN = 2_000;
/** Without a scroll event for so long, the scroller is put to where the anchor is. */
const SETTLE_MS = 180;
const JUMPING_MS = 60;
/** While somebody drags the scrollbar, not every place on the way is read. */
const WANT_WHILE_JUMPING_MS = 40;
/** As near to the end as counts as being there. */
const AT_END_PIXELS = 2 * LINE_HEIGHT;

interface Options {
  scroller: HTMLElement;
  model: LogModel;
  words: Words;
  look: Look;
  /** The lines that the address names. */
  chosen: Range | null;
  onView: (view: View) => void;
  onFold: (id: string) => void;
  onChoose: (range: Range | null, extend: boolean) => void;
}

/** Where on the screen a line is brought to: its upper third, or so low that what led to it is seen. */
type Place = 'third' | 'end';

export class LogViewer {
  private readonly spacer = document.createElement('div');
  private readonly list = document.createElement('div');
  private readonly rows = new Map<string, Row>();
  private readonly spare: Row[] = [];
  private readonly scroller: HTMLElement;
  private readonly model: LogModel;
  private readonly heights: Heights;
  private readonly listening = new AbortController();
  private readonly resizes: ResizeObserver;
  private layout = new Layout(0, []);
  private segments: readonly Segment[] = [];
  private folded: ReadonlySet<string> = new Set();
  private only: string | null = null;
  private readonly whole = new Set<number>();
  private map = new ScrollMap(0);
  private anchor = TOP;
  private isFollowing = false;
  private isTouched = false;
  private lastY = 0;
  private viewport = 0;
  private width = 0;
  private widest = 0;
  private frame: number | undefined;
  private settling: ReturnType<typeof setTimeout> | undefined;
  private wanting: ReturnType<typeof setTimeout> | undefined;
  private jumpedAt = -Infinity;
  private isLayoutStale = true;
  /** A line was drawn that was not there before, so that the widest may be another. */
  private isRedrawn = false;
  /** Rises when what is drawn looks different, though its lines are the same. */
  private look = 0;
  private view: View | null = null;

  constructor(private readonly options: Options) {
    this.scroller = options.scroller;
    this.model = options.model;
    this.heights = new Heights(this.layout, (n) => this.model.line(n)?.continued === true);
    this.spacer.className = 'log-spacer';
    this.list.className = 'log-rows';
    this.list.setAttribute('role', 'list');
    this.scroller.replaceChildren(this.spacer, this.list);
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(this.scroller);
    this.model.onChange = () => this.changed();
    const on = { signal: this.listening.signal, passive: true } as const;
    this.scroller.addEventListener('scroll', () => this.scrolled(), on);
    this.scroller.addEventListener('scrollend', () => this.settleSoon(0), on);
    this.scroller.addEventListener('touchstart', () => (this.isTouched = true), on);
    for (const end of ['touchend', 'touchcancel'] as const)
      this.scroller.addEventListener(end, () => this.untouched(), on);
    this.scroller.addEventListener('wheel', ({ deltaY }) => this.wheeled(deltaY), on);
    this.list.addEventListener('click', (event) => this.clicked(event), { signal: this.listening.signal });
    this.takeSize();
  }

  /** Draws for the first time: at the top, at a line, or at the end, which is followed. */
  open(segments: readonly Segment[], folded: ReadonlySet<string>, at: 'top' | 'end' | { n: number; place: Place }): void {
    this.segments = segments;
    this.folded = folded;
    this.relayout();
    if (at === 'end') this.isFollowing = true;
    else if (at !== 'top') this.put(at.n, at.place);
    this.rebase();
  }

  close(): void {
    this.listening.abort();
    this.resizes.disconnect();
    this.model.onChange = () => {};
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    clearTimeout(this.settling);
    clearTimeout(this.wanting);
    this.scroller.replaceChildren();
  }

  setSegments(segments: readonly Segment[], folded: ReadonlySet<string>, only: string | null): void {
    if (segments === this.segments && folded === this.folded && only === this.only) return;
    this.takeIn();
    const item = this.layout.item(this.anchor.row);
    const n = item?.kind === 'line' ? item.n : item?.segment.first;
    const isHead = item?.kind === 'head';
    this.segments = segments;
    this.folded = folded;
    this.only = only;
    this.look += 1;
    this.relayout();
    // What is read stays where it is, whatever appears above; the top stays the top.
    const isTop = this.anchor.row === 0 && this.anchor.off === 0;
    if (n !== undefined && !this.isFollowing && !isTop) {
      const row = this.layout.rowOf(n);
      this.anchor = { row: isHead && this.layout.item(row - 1)?.kind === 'head' ? row - 1 : row, off: this.anchor.off };
    }
    this.rebase();
  }

  setLook(look: Look): void {
    const was = this.options.look;
    this.options.look = look;
    this.look += 1;
    if (was.wrap !== look.wrap || was.times !== look.times) this.heights.forget();
    if (look.wrap) this.widest = 0;
    this.list.style.minWidth = '';
    this.relayout();
    this.rebase();
  }

  setWords(words: Words): void {
    this.options.words = words;
    this.look += 1;
    this.drawSoon();
  }

  setChosen(range: Range | null): void {
    this.options.chosen = range;
    this.look += 1;
    this.drawSoon();
  }

  follow(isOn: boolean): void {
    this.isFollowing = isOn;
    if (isOn) this.rebase();
    else this.drawSoon();
  }

  goTo(n: number, place: Place = 'third'): void {
    this.isFollowing = false;
    if (this.isLayoutStale) this.relayout();
    this.put(n, place);
    this.rebase();
  }

  private put(n: number, place: Place): void {
    const row = this.layout.rowOf(Math.min(Math.max(1, n), Math.max(1, this.layout.total)));
    this.stand(walk({ row, off: 0 }, -this.viewport * (place === 'third' ? 1 / 3 : 0.8), this.heights));
  }

  /** Brings the head of a segment to the top. */
  goToHead(segment: Segment): void {
    this.isFollowing = false;
    if (this.isLayoutStale) this.relayout();
    let row = this.layout.rowOf(segment.first);
    const above = this.layout.item(row - 1);
    if (above?.kind === 'head' && above.segment.id === segment.id) row -= 1;
    this.stand({ row, off: 0 });
    this.rebase();
  }

  /** The number of the uppermost line. */
  get top(): number {
    const item = this.layout.item(this.anchor.row);
    return item === undefined ? 0 : item.kind === 'line' ? item.n : item.segment.first;
  }

  /** To the first line, or to the last. */
  goToEnd(end: 'start' | 'end'): void {
    this.isFollowing = end === 'end';
    this.anchor = end === 'start' ? TOP : this.end;
    this.rebase();
  }

  private changed(): void {
    if (this.model.total !== this.layout.total) this.isLayoutStale = true;
    this.drawSoon();
  }

  private drawSoon(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.isLayoutStale) {
        this.relayout();
        if (this.isFollowing) {
          this.rebase();
          return;
        }
      }
      this.draw();
    });
  }

  private relayout(): void {
    this.isLayoutStale = false;
    this.layout = new Layout(this.model.total, this.segments, this.folded, this.only);
    this.heights.use(this.layout);
    this.resizeSpacer();
  }

  private resizeSpacer(): void {
    const height = this.heights.total;
    if (height === this.map.content) return;
    this.map = new ScrollMap(height);
    this.spacer.style.height = `${this.map.native}px`;
  }

  private resized(): void {
    const { viewport, width } = this;
    this.takeSize();
    if (viewport === this.viewport && width === this.width) return;
    if (width !== this.width && this.options.look.wrap) this.heights.forget();
    this.relayout();
    this.rebase();
  }

  private takeSize(): void {
    this.viewport = this.scroller.clientHeight;
    this.width = this.scroller.clientWidth;
  }

  private wheeled(deltaY: number): void {
    if (deltaY < 0) this.unfollow();
  }

  private unfollow(): void {
    this.isFollowing = false;
  }

  private untouched(): void {
    this.isTouched = false;
    this.settleSoon(SETTLE_MS);
  }

  private scrolled(): void {
    const y = this.scroller.scrollTop;
    const delta = y - this.lastY;
    this.lastY = y;
    if (delta === 0) {
      this.drawSoon();
      return;
    }
    if (delta < 0) this.unfollow();
    if (Math.abs(delta) <= Math.max(JUMP_PIXELS_MIN, 3 * this.viewport)) this.stand(walk(this.anchor, delta, this.heights));
    else {
      this.jumpedAt = performance.now();
      this.stand(this.heights.at(this.map.toContent(y)));
    }
    if (delta > 0 && this.isAtEnd()) this.isFollowing = true;
    const isNativeEnd = y <= 0 || y >= this.map.native - this.viewport - 1;
    if (isNativeEnd && !this.isTouched) this.rebase();
    else this.drawSoon();
    this.settleSoon(SETTLE_MS);
  }

  private settleSoon(ms: number): void {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (this.isTouched) return;
      this.takeIn();
      this.rebase();
    }, ms);
  }

  /** The scroller may have moved and its event be still to come: moving it then would undo that. */
  private takeIn(): void {
    if (this.scroller.scrollTop !== this.lastY) this.scrolled();
  }

  /** No further than the end. */
  private stand(at: Anchor): void {
    this.anchor = upper(at, this.end);
  }

  private get end(): Anchor {
    return endOf(this.heights, this.viewport);
  }

  private isAtEnd(): boolean {
    return isWithin(AT_END_PIXELS, this.anchor, this.end, this.heights);
  }

  /** Puts the scroller to where the anchor is. Nothing moves on the screen. */
  private rebase(): void {
    if (this.isFollowing) this.anchor = this.end;
    else this.stand(this.anchor);
    this.resizeSpacer();
    const { row, off } = this.anchor;
    const { end } = this;
    const isEnd = row === end.row && off === end.off && row > 0;
    const y = isEnd ? this.map.native - this.viewport : this.map.toNative(this.heights.topOf(row) + off);
    const goal = Math.max(0, Math.round(y));
    // A finger on the screen owns the scroller: moving it would end the swing in Safari.
    const isFree = !this.isTouched || this.isFollowing;
    if (isFree && Math.abs(this.scroller.scrollTop - goal) >= 1) this.scroller.scrollTop = goal;
    this.lastY = this.scroller.scrollTop;
    this.draw();
  }

  private draw(): void {
    if (this.viewport === 0) return;
    // What is measured may change where the end is; what is followed then moves once more.
    for (let turn = 0; turn < 3; turn += 1) {
      const isNews = this.drawOnce();
      if (!isNews) break;
      this.resizeSpacer();
      if (this.isFollowing) {
        this.anchor = this.end;
        this.scroller.scrollTop = Math.max(0, this.map.native - this.viewport);
        this.lastY = this.scroller.scrollTop;
      }
    }
    this.tell();
  }

  /** Whether a height differs from what was assumed. */
  private drawOnce(): boolean {
    const isJumping = performance.now() - this.jumpedAt < JUMPING_MS;
    if (isJumping) setTimeout(() => this.drawSoon(), JUMPING_MS);
    const overscan = (isJumping ? OVERSCAN_JUMPING_ROWS : OVERSCAN_ROWS) * LINE_HEIGHT;
    const { row: anchorRow, off } = this.anchor;
    let first = anchorRow;
    for (let above = 0; first > 0 && above < overscan; ) {
      first -= 1;
      above += this.heights.of(first);
    }
    let last = anchorRow;
    for (let below = -off; last < this.layout.rows && below < this.viewport + overscan; last += 1)
      below += this.heights.of(last);
    this.isRedrawn = false;
    const drawn = this.fill(first, last);
    const isNews = this.options.look.wrap && this.measure(drawn);
    if (!this.options.look.wrap && this.isRedrawn) this.widen();
    // Where the scroller was when the anchor was put there: its next movement, whose event is still to come, moves the rows too.
    const base = this.lastY - off;
    let y = base;
    for (let row = anchorRow - 1; row >= first; row -= 1) {
      y -= this.heights.of(row);
      drawn.get(row)?.place(y);
    }
    y = base;
    for (let row = anchorRow; row < last; row += 1) {
      drawn.get(row)?.place(y);
      y += this.heights.of(row);
    }
    this.want(first, last, isJumping);
    return isNews;
  }

  /** Has an element for each row from `first` to before `last`. */
  private fill(first: number, last: number): Map<number, Row> {
    const wanted = new Map<string, number>();
    for (let row = first; row < last; row += 1) {
      const item = this.layout.item(row);
      if (item === undefined) continue;
      if (item.kind === 'head') wanted.set(`h${item.segment.id}`, row);
      else if (this.model.line(item.n)?.continued !== true) wanted.set(`l${item.n}`, row);
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      this.rows.delete(key);
      this.spare.push(row);
    }
    const styles = new Styles(this.model);
    const drawn = new Map<number, Row>();
    for (const [key, index] of wanted) {
      let row = this.rows.get(key);
      if (row === undefined) {
        row = this.spare.pop() ?? new Row();
        row.shown = '';
        this.rows.set(key, row);
        this.list.append(row.element);
        row.element.hidden = false;
      }
      this.show(row, index, styles);
      drawn.set(index, row);
    }
    for (const row of this.spare) row.element.hidden = true;
    this.order(drawn);
    return drawn;
  }

  /** What is chosen with the mouse, or read aloud, goes by the order of the elements. Few of them move: what comes is put last. */
  private order(drawn: Map<number, Row>): void {
    let next = this.list.firstElementChild;
    for (const { element } of drawn.values()) {
      while (next instanceof HTMLElement && next.hidden) next = next.nextElementSibling;
      if (element === next) next = next.nextElementSibling;
      else this.list.insertBefore(element, next);
    }
  }

  private show(row: Row, index: number, styles: Styles): void {
    const item = this.layout.item(index);
    if (item === undefined) return;
    const { words, look, chosen } = this.options;
    row.count(index + 1, this.layout.rows);
    if (item.kind === 'head') {
      const canFold = this.layout.isAlone(item.segment);
      const view = words.head(item.segment, this.layout.isFolded(item.segment), canFold);
      const shown = JSON.stringify(view);
      if (row.shown === shown) return;
      row.shown = shown;
      row.showHead(view);
      return;
    }
    const { n } = item;
    const line = this.model.line(n);
    if (line === undefined) {
      if (row.shown === 'loading') return;
      row.shown = 'loading';
      row.showLoading(n, words.line(n));
      return;
    }
    // A line that came in parts changes while its parts come.
    const shown = line.partial ? `${this.look} ${this.model.version}` : `${this.look}`;
    if (row.shown === shown) return;
    row.shown = shown;
    this.isRedrawn = true;
    row.showLine({
      n,
      text: this.model.text(n),
      style: styles.before(n),
      stream: line.stream,
      isOpen: line.partial && n === this.model.total,
      isWhole: this.whole.has(n),
      isChosen: chosen !== null && n >= chosen.from && n <= chosen.to,
      time: look.times === 'off' ? '' : words.time(line.at),
      theme: look.theme,
      showAll: words.showAll,
      label: words.line(n),
    });
  }

  private measure(drawn: Map<number, Row>): boolean {
    let isNews = false;
    for (const row of drawn.values()) {
      if (row.line === null) continue;
      if (this.heights.measure(row.line, row.element.offsetHeight)) isNews = true;
    }
    return isNews;
  }

  /** Without wrapping, as wide as the widest line so far. */
  private widen(): void {
    const width = this.list.scrollWidth;
    if (width <= this.widest) return;
    this.widest = width;
    this.list.style.minWidth = `${width}px`;
  }

  private want(first: number, last: number, isJumping: boolean): void {
    const numbers: number[] = [];
    for (const row of [first, last - 1]) {
      const item = this.layout.item(row);
      if (item !== undefined) numbers.push(item.kind === 'line' ? item.n : item.segment.first);
    }
    const [from, to] = [numbers[0], numbers.at(-1)];
    if (from === undefined || to === undefined) return;
    clearTimeout(this.wanting);
    // Folded lines lie between, and are not wanted: what is seen on either side is at most two pages.
    const want = () => this.model.want(from, Math.min(to, from + 4 * OVERSCAN_ROWS + this.viewport / LINE_HEIGHT));
    if (isJumping) this.wanting = setTimeout(want, WANT_WHILE_JUMPING_MS);
    else want();
  }

  private tell(): void {
    let { row } = this.anchor;
    const firstSeen = row;
    let missing = 0;
    for (let y = -this.anchor.off; y < this.viewport && row < this.layout.rows; row += 1) {
      const item = this.layout.item(row);
      if (item?.kind === 'line' && this.model.line(item.n) === undefined) missing += 1;
      y += this.heights.of(row);
    }
    const view: View = {
      isFollowing: this.isFollowing,
      isAtEnd: this.isAtEnd(),
      missing,
      step: this.stepAt(firstSeen),
      spans: this.model.spanVersion,
    };
    const was = this.view;
    const keys = Object.keys(view) as (keyof View)[];
    if (was !== null && keys.every((key) => was[key] === view[key])) return;
    this.view = view;
    this.options.onView(view);
  }

  private stepAt(row: number): string | null {
    const item = this.layout.item(row);
    if (item?.kind === 'line') {
      const line = this.model.line(item.n);
      if (line !== undefined && line.step !== null) return line.step;
    }
    return this.layout.segmentAt(row)?.step ?? null;
  }

  private clicked(event: MouseEvent): void {
    if (!(event.target instanceof Element)) return;
    const fold = event.target.closest<HTMLElement>('[data-segment]')?.dataset['segment'];
    if (fold !== undefined) this.options.onFold(fold);
    const whole = event.target.closest<HTMLElement>('[data-whole]')?.dataset['whole'];
    if (whole !== undefined) {
      this.whole.add(Number(whole));
      this.look += 1;
      this.drawSoon();
    }
    const n = event.target.closest<HTMLElement>('[data-n]')?.dataset['n'];
    if (n === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.options.onChoose({ from: Number(n), to: Number(n) }, event.shiftKey);
  }
}
