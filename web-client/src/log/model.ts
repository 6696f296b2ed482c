import type { LogLine, LogStream } from '@slipway/client';

import { linesOf, PAGE_LINES, pageOf, type Read } from './read';

/** Bounds of what is kept, whichever is reached first. */
const PAGES_MAX = 120;
const CHARACTERS_MAX = 16 * 1024 * 1024;
/** Requests that are under way at a time. */
const READS_MAX = 2;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8_000;
/** Entries, and characters, that a line which came in parts is put together from. */
const JOINED_LINES_MAX = 2_000;
const JOINED_CHARACTERS_MAX = 256 * 1024;

export interface Line {
  readonly text: string;
  readonly at: number;
  readonly step: string | null;
  readonly attempt: number;
  readonly stream: LogStream;
  readonly partial: boolean;
  readonly continued: boolean;
}

/** The lines of an attempt of a step, as far as they were seen. */
export interface Span {
  first: number;
  last: number;
}

interface Page {
  readonly lines: (Line | undefined)[];
  present: number;
  characters: number;
  usedAt: number;
}

interface Request {
  readonly from: number;
  readonly limit: number;
  readonly abort: AbortController;
}

/**
 * The lines of a run, by number: some of them are here, the others are read when they are wanted. It holds a bounded part
 * of a log of any length, has each line once, and notices every line that is missing.
 */
export class LogModel {
  /** The highest number that is known. */
  total = 0;
  /** The highest number up to which the stream has told everything; what it sends must go on from here. */
  streamed = 0;
  /** Rises with each change. */
  version = 0;
  /** Why the last read failed, until one succeeds. */
  failure: unknown = null;
  onChange: () => void = () => {};
  onTotal: () => void = () => {};
  /** Rises when more is known of where steps begin and end. */
  spanVersion = 0;
  private toldTotal = 0;
  /** By `step/attempt`. */
  private readonly spans = new Map<string, Span>();
  private readonly pages = new Map<number, Page>();
  private readonly requests = new Map<number, Request>();
  private characters = 0;
  private clock = 0;
  private wanted: { from: number; to: number } | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private retryMs = RETRY_FIRST_MS;
  private isClosed = false;

  constructor(private readonly read: Read) {}

  close(): void {
    this.isClosed = true;
    clearTimeout(this.retry);
    for (const { abort } of this.requests.values()) abort.abort();
    this.requests.clear();
  }

  /** There are that many lines, as somebody else says. */
  know(total: number): void {
    if (total <= this.total) return;
    this.total = total;
    this.changed();
  }

  /** A line of the stream. One that came before is dropped; after one that did not come, what lies between is missing. */
  push(line: LogLine): void {
    this.put(line);
    this.streamed = Math.max(this.streamed, line.n);
    this.total = Math.max(this.total, line.n);
    this.changed();
  }

  line(n: number): Line | undefined {
    return this.pages.get(pageOf(n))?.lines[indexOf(n)];
  }

  /** What stands in the row of a line that begins it: the parts that follow are put to it. */
  text(n: number): string {
    const begin = this.line(n);
    if (begin === undefined) return '';
    if (!begin.partial) return begin.text;
    const parts = [begin.text];
    let length = begin.text.length;
    let isOpen = true;
    const end = Math.min(this.total, n + JOINED_LINES_MAX);
    for (let next = n + 1; isOpen && next <= end && length < JOINED_CHARACTERS_MAX; next += 1) {
      const line = this.line(next);
      if (line === undefined) break;
      if (line.step !== begin.step || line.attempt !== begin.attempt || line.stream !== begin.stream) continue;
      if (!line.continued) break;
      parts.push(line.text);
      length += line.text.length;
      isOpen = line.partial;
    }
    return parts.join('');
  }

  /** Of an attempt whose lines the server does not tell yet; undefined where it may have begun before what was seen. */
  span(step: string, attempt: number): Span | undefined {
    const span = this.spans.get(`${step}/${attempt}`);
    const isWhole = span !== undefined && (span.first === 1 || this.line(span.first - 1) !== undefined);
    return isWhole ? span : undefined;
  }

  /** How many of these lines are not here. */
  missing(from: number, to: number): number {
    let count = 0;
    for (let n = Math.max(1, from); n <= Math.min(to, this.total); n += 1) if (this.line(n) === undefined) count += 1;
    return count;
  }

  /** These lines are looked at: what is missing is read, and what was asked for and is no longer wanted is let go. */
  want(from: number, to: number): void {
    this.wanted = { from: Math.max(1, from), to: Math.min(to, this.total) };
    for (const [page, { abort }] of this.requests) {
      if (this.isWanted(page)) continue;
      abort.abort();
      this.requests.delete(page);
    }
    if (this.retry === undefined) this.ask();
  }

  /** The network may be back: whatever waits is tried at once. */
  wake(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    this.retryMs = RETRY_FIRST_MS;
    this.ask();
  }

  private isWanted(page: number): boolean {
    return this.wanted !== null && page >= pageOf(this.wanted.from) && page <= pageOf(this.wanted.to);
  }

  private ask(): void {
    if (this.wanted === null || this.isClosed) return;
    const { from, to } = this.wanted;
    for (let page = pageOf(from); page <= pageOf(to) && this.requests.size < READS_MAX; page += 1) {
      if (!this.requests.has(page)) this.askFor(page);
    }
  }

  private askFor(page: number): void {
    const there = this.pages.get(page);
    if (there !== undefined) there.usedAt = this.clock += 1;
    const [first, last] = linesOf(page, this.total);
    let from = first;
    while (from <= last && there?.lines[indexOf(from)] !== undefined) from += 1;
    let to = last;
    while (to > from && there?.lines[indexOf(to)] !== undefined) to -= 1;
    if (from > to) return;
    const request = { from, limit: to - from + 1, abort: new AbortController() };
    this.requests.set(page, request);
    this.read(request.from, request.limit, request.abort.signal).then(
      (answer) => this.take(page, request, answer.items, answer.total),
      (error: unknown) => this.fail(page, request, error),
    );
  }

  private take(page: number, request: Request, items: LogLine[], total: number): void {
    if (this.requests.get(page) !== request) return;
    this.requests.delete(page);
    const before = this.pages.get(page)?.present ?? 0;
    for (const item of items) this.put(item);
    this.total = Math.max(this.total, total);
    const progressed = (this.pages.get(page)?.present ?? 0) > before;
    this.failure = null;
    if (progressed) this.retryMs = RETRY_FIRST_MS;
    this.changed();
    // What should be there and is not must not be asked for without a pause.
    if (progressed) this.ask();
    else this.askLater();
  }

  private fail(page: number, request: Request, error: unknown): void {
    if (this.requests.get(page) !== request) return;
    this.requests.delete(page);
    this.failure = error;
    this.changed();
    this.askLater();
  }

  private askLater(): void {
    if (this.retry !== undefined || this.isClosed) return;
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.ask();
    }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  private put(line: LogLine): void {
    const number = pageOf(line.n);
    let page = this.pages.get(number);
    if (page === undefined) {
      page = { lines: [], present: 0, characters: 0, usedAt: 0 };
      this.pages.set(number, page);
    }
    page.usedAt = this.clock += 1;
    if (page.lines[indexOf(line.n)] !== undefined) return;
    page.lines[indexOf(line.n)] = {
      text: line.message,
      at: Date.parse(line.timestamp),
      step: line.step,
      attempt: line.attempt,
      stream: line.stream,
      partial: line.partial ?? false,
      continued: line.continued ?? false,
    };
    page.present += 1;
    this.widen(line);
    page.characters += line.message.length;
    this.characters += line.message.length;
    if (this.pages.size > PAGES_MAX || this.characters > CHARACTERS_MAX) this.evict(number);
  }

  private widen({ n, step, attempt }: LogLine): void {
    if (step === null) return;
    const span = this.spans.get(`${step}/${attempt}`);
    if (span !== undefined && span.first <= n && n <= span.last) return;
    this.spanVersion += 1;
    this.spans.set(`${step}/${attempt}`, { first: Math.min(span?.first ?? n, n), last: Math.max(span?.last ?? n, n) });
  }

  private evict(except: number): void {
    const old = [...this.pages]
      .filter(([page]) => page !== except && !this.isWanted(page))
      .sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [number, page] of old) {
      if (this.pages.size <= PAGES_MAX && this.characters <= CHARACTERS_MAX) return;
      this.pages.delete(number);
      this.characters -= page.characters;
    }
  }

  private changed(): void {
    this.version += 1;
    this.onChange();
    if (this.toldTotal === this.total) return;
    this.toldTotal = this.total;
    this.onTotal();
  }
}

function indexOf(n: number): number {
  return (n - 1) % PAGE_LINES;
}
