import { useSyncExternalStore } from 'react';

/** Trouble that is over within this time is not worth a word. */
const SILENT_MS = 1_000;
const OFFLINE_MS = 10_000;
const PROBE_FIRST_MS = 500;
const PROBE_MAX_MS = 5_000;
/** An answer that has not come by then is not going to: the network was another one when it was asked for. */
export const PROBE_MS = 10_000;

export type Connection = { kind: 'live' } | { kind: 'reconnecting' } | { kind: 'offline'; since: number };

/** Whether the server answers, as everything that is asked of it tells. */
class ConnectionState {
  /** Asks something that anybody may ask, and gives up after `PROBE_MS`. */
  probe: () => Promise<unknown> = () => Promise.resolve();
  onBack: () => void = () => {};
  private state: Connection = { kind: 'live' };
  private answeredAt = Date.now();
  private isLost = false;
  private timers: ReturnType<typeof setTimeout>[] = [];
  private probing: ReturnType<typeof setTimeout> | undefined;
  private probeMs = PROBE_FIRST_MS;
  private readonly listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly current = (): Connection => this.state;

  answered(): void {
    this.answeredAt = Date.now();
    if (!this.isLost) return;
    this.isLost = false;
    for (const timer of this.timers) clearTimeout(timer);
    clearTimeout(this.probing);
    this.probeMs = PROBE_FIRST_MS;
    this.become({ kind: 'live' });
    this.onBack();
  }

  lost(): void {
    if (this.isLost) return;
    this.isLost = true;
    const since = this.answeredAt;
    this.timers = [
      setTimeout(() => this.become({ kind: 'reconnecting' }), SILENT_MS),
      setTimeout(() => this.become({ kind: 'offline', since }), OFFLINE_MS),
    ];
    this.probeSoon();
  }

  /** Somebody looks at the page again, or the network may be back. */
  wake(): void {
    if (!this.isLost) return;
    this.probeMs = PROBE_FIRST_MS;
    clearTimeout(this.probing);
    void this.ask();
  }

  watch(): void {
    addEventListener('online', () => this.wake());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.wake();
    });
  }

  private probeSoon(): void {
    this.probing = setTimeout(() => void this.ask(), this.probeMs * (0.5 + Math.random()));
    this.probeMs = Math.min(this.probeMs * 2, PROBE_MAX_MS);
  }

  private async ask(): Promise<void> {
    try {
      await this.probe();
      this.answered();
    } catch {
      if (this.isLost) this.probeSoon();
      else this.lost();
    }
  }

  private become(next: Connection): void {
    this.state = next;
    for (const listener of this.listeners) listener();
  }
}

export const connection = new ConnectionState();

export function useConnection(): Connection {
  return useSyncExternalStore(connection.subscribe, connection.current);
}
