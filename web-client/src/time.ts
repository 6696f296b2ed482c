import { useSyncExternalStore } from 'react';

/** One clock for all that counts seconds; it stands while nobody looks. */
class Ticker {
  private now = Date.now();
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly everyMs: number) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    this.timer ??= setInterval(() => {
      if (!document.hidden) this.tick();
    }, this.everyMs);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  };

  readonly current = (): number => this.now;

  private tick(): void {
    this.now = Date.now();
    for (const listener of this.listeners) listener();
  }
}

const seconds = new Ticker(1_000);
const minutes = new Ticker(30_000);
const still = { subscribe: () => () => {}, current: () => 0 };

/** The time, renewed each second where something is counted, else each half a minute. */
export function useNow(every: 'second' | 'minute' | 'never' = 'minute'): number {
  const ticker = every === 'second' ? seconds : every === 'minute' ? minutes : still;
  const now = useSyncExternalStore(ticker.subscribe, ticker.current);
  // A clock that has just begun to be read may be behind.
  return every === 'never' ? 0 : Math.max(now, Date.now() - 1_000);
}
