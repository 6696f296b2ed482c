import { useSyncExternalStore } from 'react';

/** The page's first script: its name has a hash of all that it leads to. */
const ENTRY = /<script [^>]*src="(\/assets\/index-[^"]+)"/;

/** Whether the server has another build of this client than the one that runs here. */
class Build {
  private isOutdated = false;
  private readonly own = document.querySelector('script[type=module]')?.getAttribute('src');
  private readonly listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly current = (): boolean => this.isOutdated;

  watch(): void {
    // What this build would load by and by is gone with it.
    addEventListener('vite:preloadError', () => void this.look());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.look();
    });
  }

  async look(): Promise<void> {
    try {
      const response = await fetch('/', { cache: 'no-cache', headers: { accept: 'text/html' } });
      const entry = ENTRY.exec(await response.text())?.[1];
      // Whoever else may answer, as a proxy that asks who is there, says nothing of it.
      if (entry === undefined || entry === this.own || this.isOutdated) return;
      this.isOutdated = true;
      for (const listener of this.listeners) listener();
    } catch {
      // It is looked at again once the server is back.
    }
  }
}

export const build = new Build();

export function useIsOutdated(): boolean {
  return useSyncExternalStore(build.subscribe, build.current);
}
