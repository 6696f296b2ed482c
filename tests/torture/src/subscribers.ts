import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

import { createClient, type Client } from '@slipway/client';

import { refusalOf } from './calls.js';
import { sighting, type RunHistory, type Sighting, type Sitting } from './history.js';
import type { SubscriberPlan } from './plan.js';

const REFUSALS_MAX = 3;
const AFTER_REFUSAL_MS = 1_000;

/** Those who follow logs and watch runs. */
export class Subscribers {
  private readonly client: Client;
  /** Now. */
  open = 0;
  /** Ever. */
  count = 0;
  lines = 0;
  /** When one was last told something. */
  toldMs = Date.now();

  /** `over` ends all subscriptions that have not come to an end by themselves. */
  constructor(
    url: string,
    token: string,
    private readonly over: AbortSignal,
  ) {
    // Each subscription listens.
    setMaxListeners(0, over);
    this.client = createClient({ url, token });
  }

  /** Follows a log to its end, leaving and coming back as planned, and gives the sittings that it took. */
  async follow(history: RunHistory, sittings: Sitting[], leaves: SubscriberPlan['leaves']): Promise<void> {
    this.count += 1;
    for (let refusals = 0; refusals < REFUSALS_MAX && !this.over.aborted;) {
      const last = sittings.at(-1);
      const after = last === undefined ? 0 : (last.lines.at(-1)?.n ?? last.after);
      const sitting: Sitting = { after, ids: [], lines: [], isComplete: false };
      sittings.push(sitting);
      const leaveMs = leaves?.afterMs;
      await this.sit(history, sitting, leaveMs);
      if (sitting.isComplete) return;
      if (sitting.refusal !== undefined) {
        refusals += 1;
        await pause(AFTER_REFUSAL_MS);
      } else {
        await pause(leaves?.forMs ?? 0);
        leaves = undefined;
      }
    }
  }

  private async sit(history: RunHistory, sitting: Sitting, leaveMs: number | undefined): Promise<void> {
    const { runId } = history;
    if (runId === undefined) return;
    history.say(`a subscriber joins behind line ${sitting.after}`);
    await this.until(leaveMs, (handlers) =>
      this.client.pipelines.streamLogs.subscribe(
        { runId, after: sitting.after },
        {
          onData: ({ id, ...line }) => {
            sitting.ids.push(id);
            sitting.lines.push(line);
            this.lines += 1;
            this.toldMs = Date.now();
          },
          // tRPC says so too when it was the caller who left.
          onComplete: () => {
            sitting.isComplete ||= !handlers.hasEnded();
            handlers.onEnd();
          },
          onError: (error) => {
            sitting.refusal = refusalOf(error) ?? error.message;
            handlers.onEnd();
          },
        },
      ),
    );
    const what = sitting.isComplete ? 'is told of the end' : this.over.aborted ? 'has waited in vain' : 'leaves';
    history.say(`a subscriber ${sitting.refusal ?? what} behind line ${sitting.lines.at(-1)?.n ?? sitting.after}`);
  }

  /** Watches a run to its end. */
  async watch(history: RunHistory, sightings: Sighting[]): Promise<void> {
    const { runId } = history;
    if (runId === undefined) return;
    this.count += 1;
    await this.until(undefined, (handlers) =>
      this.client.pipelines.watchRun.subscribe(
        { runId },
        {
          onData: (state) => {
            const last = sightings.at(-1);
            if (last?.status !== state.status || last.attempt !== state.attempt) {
              history.say(`a watcher sees ${state.status}, attempt ${state.attempt}, version ${state.version}`);
            }
            sightings.push(sighting(state));
            this.toldMs = Date.now();
          },
          onComplete: handlers.onEnd,
          onError: (error) => {
            history.refusals.push(`watchRun: ${refusalOf(error) ?? error.message}`);
            handlers.onEnd();
          },
        },
      ),
    );
  }

  /** Holds a subscription until it ends, `leaveMs` have passed, or all is over. */
  private async until(
    leaveMs: number | undefined,
    subscribe: (handlers: { onEnd: () => void; hasEnded: () => boolean }) => { unsubscribe: () => void },
  ): Promise<void> {
    this.open += 1;
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let isOver = false;
      const onEnd = () => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        this.over.removeEventListener('abort', onEnd);
        resolve();
        // The subscription may end before the call that made it returns.
        queueMicrotask(() => subscription.unsubscribe());
      };
      if (leaveMs !== undefined) timer = setTimeout(onEnd, leaveMs);
      this.over.addEventListener('abort', onEnd);
      const subscription = subscribe({ onEnd, hasEnded: () => isOver });
    });
    this.open -= 1;
  }
}
