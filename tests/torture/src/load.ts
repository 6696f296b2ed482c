import { setTimeout as pause } from 'node:timers/promises';

import type { Client } from '@slipway/client';

import { answered, refusalOf } from './calls.js';
import { isEnded, RunHistory, sighting } from './history.js';
import type { RunPlan } from './plan.js';
import { Subscribers } from './subscribers.js';

/** Runs that have not ended. More triggers wait, so that faults do not build up work without bound. */
const OPEN_MAX = 25;
const READ_INTERVAL_MS = 1_000;
const LOOK_MS = 100;

/** Triggers, subscribes, cancels and retries, as planned. */
export class Load {
  readonly histories: RunHistory[] = [];
  readonly subscribers: Subscribers;
  private readonly open = new Set<RunHistory>();
  private readonly tasks = new Set<Promise<void>>();
  /** Nothing new is begun. */
  private readonly halt = new AbortController();
  /** What has not come to an end is given up. */
  private readonly over = new AbortController();
  private reading = Promise.resolve();
  /** Bugs of the harness. */
  readonly unexpected: unknown[] = [];

  /** `pipelines`: the id of each shape's. */
  constructor(
    private readonly client: Client,
    url: string,
    token: string,
    private readonly pipelines: Map<string, string>,
    private readonly startedMs: number,
  ) {
    this.subscribers = new Subscribers(url, token, this.over.signal);
  }

  start(plans: RunPlan[]): void {
    this.begin(this.triggerAll(plans));
    this.reading = this.readAll();
  }

  get ended(): number {
    return this.histories.filter((history) => history.endings.length > 0).length;
  }

  /** Runs that have not come to their end, or whose trigger nobody has answered. */
  get pending(): RunHistory[] {
    return [...this.open];
  }

  /** Begins nothing new. */
  stop(): void {
    this.halt.abort();
  }

  /** Waits until all that was begun has come to its end, for so long at the most; the rest is given up. */
  async drain(deadlineMs: number): Promise<void> {
    const end = Date.now() + deadlineMs;
    while (this.tasks.size > 0 && Date.now() < end) await pause(LOOK_MS);
    this.over.abort();
    await Promise.all([...this.tasks, this.reading]);
  }

  private begin(task: Promise<void>): void {
    const kept = task
      .catch((error: unknown) => void this.unexpected.push(error))
      .finally(() => this.tasks.delete(kept));
    this.tasks.add(kept);
  }

  private async triggerAll(plans: RunPlan[]): Promise<void> {
    for (const plan of plans) {
      await this.wait(this.startedMs + plan.atMs - Date.now());
      while (this.open.size >= OPEN_MAX && !this.halt.signal.aborted) await pause(LOOK_MS);
      if (this.halt.signal.aborted) return;
      const history = new RunHistory(plan, this.startedMs);
      this.histories.push(history);
      this.open.add(history);
      this.begin(this.carry(history).finally(() => this.open.delete(history)));
    }
  }

  private async carry(history: RunHistory): Promise<void> {
    if (!(await this.trigger(history))) return;
    const { subscribers, watchers, cancelAfterMs, retryFrom } = history.plan;
    for (const plan of subscribers) this.begin(this.subscribe(history, plan));
    for (const afterMs of watchers) this.begin(this.watch(history, afterMs));
    if (cancelAfterMs !== undefined) this.begin(this.cancel(history, cancelAfterMs));
    await this.untilEnded(history, 0);
    if (retryFrom === undefined || history.isLost || this.halt.signal.aborted) return;
    await this.retry(history, retryFrom);
    const retriedMs = Date.now();
    // Those who were told of the end come back for what follows.
    for (const sittings of history.subscribers) {
      if (sittings.at(-1)?.isComplete) this.begin(this.subscribers.follow(history, sittings, undefined));
    }
    await this.untilEnded(history, retriedMs);
  }

  private async trigger(history: RunHistory): Promise<boolean> {
    const { shape, key, inputs } = history.plan;
    const pipelineId = this.pipelines.get(shape.name);
    if (pipelineId === undefined) throw new Error(`there is no pipeline ${shape.name}`);
    history.say(`triggered: ${shape.name}, key ${key}`);
    const ask = () => this.client.pipelines.trigger.mutate({ pipelineId, inputs, idempotencyKey: key });
    const answer = await answered(this.over.signal, ask);
    if (answer === 'given up') return false;
    if ('refusal' in answer) {
      history.refusals.push(`trigger: ${answer.refusal}`);
      return false;
    }
    history.runId = answer.value.id;
    history.say(`is run ${answer.value.id}`);
    if (history.plan.isRepeated) {
      const again = await answered(this.over.signal, ask);
      if (typeof again === 'object' && 'value' in again) history.otherIds.add(again.value.id);
    }
    return true;
  }

  private async subscribe(history: RunHistory, plan: RunPlan['subscribers'][number]): Promise<void> {
    if (plan.joins === 'ended') await this.untilEnded(history, 0);
    else await this.wait(plan.joins.afterMs);
    if (this.over.signal.aborted) return;
    history.subscribers.push([]);
    await this.subscribers.follow(history, history.subscribers.at(-1) ?? [], plan.leaves);
  }

  private async watch(history: RunHistory, afterMs: number): Promise<void> {
    await this.wait(afterMs);
    history.watchers.push([]);
    await this.subscribers.watch(history, history.watchers.at(-1) ?? []);
  }

  private async cancel(history: RunHistory, afterMs: number): Promise<void> {
    await this.wait(afterMs);
    const { runId } = history;
    // A cancel of what has ended says nothing, and one of what was tried again would be another's.
    if (runId === undefined || this.halt.signal.aborted || history.endings.length > 0) return;
    const askedMs = Date.now();
    history.cancelsAsked += 1;
    history.say('cancel asked');
    const answer = await answered(this.over.signal, () => this.client.runs.cancel.mutate({ runId }));
    if (answer === 'given up') return;
    if ('refusal' in answer) {
      history.refusals.push(`cancel: ${answer.refusal}`);
      return;
    }
    const { status, attempt } = answer.value;
    history.say(`cancel answered: ${status}, attempt ${attempt}`);
    if (!['succeeded', 'failed', 'timed_out'].includes(status)) {
      history.cancels.push({ askedMs, attempt });
    }
  }

  private async retry(history: RunHistory, from: 'start' | 'failed'): Promise<void> {
    const { runId } = history;
    if (runId === undefined) return;
    history.say(`retry asked, from ${from}`);
    const answer = await answered(this.over.signal, () => {
      // Each may be done although its answer is lost, and the next one then finds the run ended once more.
      history.retriesAsked += 1;
      return this.client.runs.retry.mutate({ runId, from });
    });
    if (answer === 'given up') return;
    // An earlier try may have been done although nobody answered, so that the run is live.
    if ('refusal' in answer && !answer.refusal.startsWith('CONFLICT')) {
      history.refusals.push(`retry: ${answer.refusal}`);
    }
    history.say(`retry answered: ${'value' in answer ? `attempt ${answer.value.attempt}` : answer.refusal}`);
  }

  /** Until a reading that began after `sinceMs` has found the run ended. */
  private async untilEnded(history: RunHistory, sinceMs: number): Promise<void> {
    const hasEnded = () => {
      const last = history.lastReading;
      return last?.askedMs !== undefined && sinceMs < last.askedMs && isEnded(last.status);
    };
    while (!hasEnded() && !history.isLost && !this.over.signal.aborted) await pause(LOOK_MS);
  }

  private async readAll(): Promise<void> {
    while (!this.over.signal.aborted) {
      const known = [...this.open].filter((history) => history.runId !== undefined);
      await Promise.all(known.map((history) => this.read(history)));
      await pause(READ_INTERVAL_MS);
    }
  }

  private async read(history: RunHistory): Promise<void> {
    const { runId } = history;
    if (runId === undefined) return;
    const askedMs = Date.now();
    const run = await this.client.runs.get.query({ runId }).catch((error: unknown) => {
      // What cannot be read now is read a second later, and what is not there is gone.
      const refusal = refusalOf(error);
      if (refusal !== undefined) history.lose(`runs.get: ${refusal}`);
    });
    if (run === undefined) return;
    const seen = { ...sighting(run), askedMs };
    const last = history.lastReading;
    history.readings.push(seen);
    if (last?.status !== seen.status || last.attempt !== seen.attempt) {
      const why = run.reason ?? run.error ?? '';
      history.say(`reads ${seen.status}, attempt ${seen.attempt}, version ${seen.version}: ${why}`);
    }
    const ending = history.endings.at(-1);
    if (isEnded(seen.status) && (ending === undefined || ending.attempt < seen.attempt)) {
      history.endings.push(seen);
      this.subscribers.toldMs = Date.now();
    }
  }

  /** A pause that the end of the load cuts short. */
  private async wait(ms: number): Promise<void> {
    await pause(Math.max(ms, 0), undefined, { signal: this.halt.signal }).catch(() => undefined);
  }
}
