// Where a search stands: what the server has found so far, and which of it is looked at.

import type { LogSearch, RunId } from '@slipway/client';

import { client } from '../api/client';

export interface Wanted {
  runId: RunId;
  text: string;
  regex: boolean;
  matchCase: boolean;
}

/** As many hits as one search names. */
const NAMED_MAX = 1_000;

/** The hits of a search, a window of a thousand at a time. */
export class Hits {
  found: LogSearch | null = null;
  error: unknown = null;
  /** The line that is looked at; 0: none. */
  now = 0;
  onChange = () => {};
  onArrive: (n: number) => void = () => {};
  private wanted: Wanted | null = null;
  private subscription: { unsubscribe: () => void } | null = null;
  /** What came before the window: the line that each earlier window began behind. */
  private starts: number[] = [0];
  private index = -1;
  private all = 0;

  /** Begins a search anew; nothing is looked for without a text. */
  look(wanted: Wanted): void {
    this.wanted = wanted.text === '' ? null : wanted;
    this.starts = [0];
    this.all = 0;
    this.open(0, 'first');
  }

  close(): void {
    this.subscription?.unsubscribe();
    this.subscription = null;
  }

  /** Of all hits, the place of the one that is looked at, from 1. */
  get at(): number {
    return this.index < 0 ? 0 : (this.starts.length - 1) * NAMED_MAX + this.index + 1;
  }

  get total(): number {
    return this.all;
  }

  next(): void {
    const hits = this.found?.hits ?? [];
    if (this.index + 1 < hits.length) return this.arrive(this.index + 1);
    const last = hits.at(-1);
    if (last !== undefined && this.at < this.all) {
      this.starts.push(last);
      this.open(last, 'first');
    } else if (this.starts.length > 1) {
      this.starts = [0];
      this.open(0, 'first');
    } else if (hits.length > 0) this.arrive(0);
  }

  previous(): void {
    const hits = this.found?.hits ?? [];
    if (this.index > 0) return this.arrive(this.index - 1);
    if (this.starts.length > 1) {
      this.starts.pop();
      this.open(this.starts.at(-1) ?? 0, 'last');
    } else if (hits.length > 0 && this.all <= hits.length) this.arrive(hits.length - 1);
  }

  private open(after: number, goal: 'first' | 'last'): void {
    this.close();
    const { marks } = this.found ?? { marks: [] };
    this.found = null;
    this.error = null;
    this.index = -1;
    this.now = 0;
    this.onChange();
    if (this.wanted === null) return;
    let hasArrived = false;
    this.subscription = client.runs.searchLogs.subscribe(
      { ...this.wanted, after },
      {
        onData: (found) => {
          // The marks are of the whole log, and so of the first window.
          this.found = after === 0 ? found : { ...found, marks };
          if (after === 0) this.all = found.count;
          const isReady = goal === 'first' ? found.hits.length > 0 : found.done || found.hits.length === NAMED_MAX;
          if (!hasArrived && isReady && found.hits.length > 0) {
            hasArrived = true;
            this.arrive(goal === 'first' ? 0 : found.hits.length - 1);
          } else this.onChange();
        },
        onError: (error) => {
          this.error = error;
          this.onChange();
        },
      },
    );
  }

  private arrive(index: number): void {
    const n = this.found?.hits[index];
    if (n === undefined) return;
    this.index = index;
    this.now = n;
    this.onChange();
    this.onArrive(n);
  }
}
