// Where a search stands: what the server has found so far, and which of it is looked at. Hits are told apart by their place
// among all of them, from 1; the server names a thousand of them at a time, from any line on.

import type { LogSearch, RunId } from '@slipway/client';

export interface Wanted {
  runId: RunId;
  text: string;
  regex: boolean;
  matchCase: boolean;
}

export interface Listener {
  onData: (found: LogSearch) => void;
  onError: (error: unknown) => void;
}

/** Searches the lines behind one, and says what is found while it goes on. */
export type Look = (wanted: Wanted & { after: number }, listener: Listener) => { unsubscribe: () => void };

/** As many hits as one search names. */
const NAMED_MAX = 1_000;

/** Hits that follow each other, behind so many others. */
interface Window {
  before: number;
  hits: readonly number[];
}

export class Hits {
  /** Of the whole log. */
  found: LogSearch | null = null;
  error: unknown = null;
  /** The place of the hit that is looked at; 0: none. */
  at = 0;
  /** Its line; 0: none. */
  now = 0;
  onChange = () => {};
  onArrive: (n: number) => void = () => {};
  private wanted: Wanted | null = null;
  private whole: { unsubscribe: () => void } | null = null;
  private part: { unsubscribe: () => void } | null = null;
  private window: Window | null = null;

  constructor(private readonly look: Look) {}

  /** Begins a search anew; nothing is looked for without a text. */
  search(wanted: Wanted): void {
    this.close();
    this.wanted = wanted.text === '' ? null : wanted;
    this.found = null;
    this.error = null;
    this.at = 0;
    this.now = 0;
    this.window = null;
    this.onChange();
    if (this.wanted === null) return;
    this.whole = this.look(
      { ...this.wanted, after: 0 },
      {
        onData: (found) => {
          this.found = found;
          if (this.at === 0 && this.part === null && found.hits.length > 0) this.goTo(1);
          else this.onChange();
        },
        onError: (error) => this.fail(error),
      },
    );
  }

  close(): void {
    this.whole?.unsubscribe();
    this.whole = null;
    this.part?.unsubscribe();
    this.part = null;
  }

  next(): void {
    const { count, done } = this.found ?? { count: 0, done: false };
    if (this.at < count) this.goTo(this.at + 1);
    else if (done && count > 0) this.goTo(1);
  }

  previous(): void {
    const { count, done } = this.found ?? { count: 0, done: false };
    if (this.at > 1) this.goTo(this.at - 1);
    else if (done && count > 0) this.goTo(count);
  }

  /** To the first hit in a part of the log, as `marks` counts them, or in the next part that has one. */
  goToPart(part: number): void {
    const marks = this.found?.marks ?? [];
    const before = sum(marks.slice(0, part));
    if (before < (this.found?.count ?? 0)) this.goTo(before + 1);
  }

  private goTo(place: number): void {
    this.part?.unsubscribe();
    this.part = null;
    const first = { before: 0, hits: this.found?.hits ?? [] };
    const n = lineIn(first, place) ?? lineIn(this.window, place);
    if (n !== undefined) this.arrive(place, n);
    else this.read(place, this.startBefore(place));
  }

  /** The last line that a part of the log begins behind, without a hit between that is at this place or after it. */
  private startBefore(place: number): { after: number; before: number } {
    const { marks, total } = this.found ?? { marks: [], total: 0 };
    let before = 0;
    let part = 0;
    for (; part < marks.length && before + (marks[part] ?? 0) < place; part += 1) before += marks[part] ?? 0;
    return { after: Math.ceil((part * total) / Math.max(1, marks.length)), before };
  }

  private read(place: number, { after, before }: { after: number; before: number }): void {
    if (this.wanted === null) return;
    let isOver = false;
    const part = this.look(
      { ...this.wanted, after },
      {
        onData: ({ hits, done }) => {
          if (isOver) return;
          const window = { before, hits };
          const n = lineIn(window, place);
          const last = hits.at(-1);
          const isFull = hits.length >= NAMED_MAX;
          if (n === undefined && !isFull && !done) return;
          isOver = true;
          // What was named is all that is wanted of it.
          queueMicrotask(() => part.unsubscribe());
          this.window = window;
          if (n !== undefined) this.arrive(place, n);
          else if (isFull && last !== undefined) this.read(place, { after: last, before: before + hits.length });
        },
        onError: (error) => this.fail(error),
      },
    );
    this.part = part;
  }

  private arrive(place: number, n: number): void {
    this.at = place;
    this.now = n;
    this.onChange();
    this.onArrive(n);
  }

  private fail(error: unknown): void {
    this.error = error;
    this.onChange();
  }
}

function lineIn(window: Window | null, place: number): number | undefined {
  return window?.hits[place - window.before - 1];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
