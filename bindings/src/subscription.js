// A tRPC link for programs: each subscription over a request of its own, which reconnects by itself.

import { observe } from './adapter.js';
import { endpoint, requestHeaders } from './connection.js';
import { Cursor, notice, parsed } from './cursor.js';
import { Interrupted, RETRYABLE_CODE, failureOf } from './failure.js';
import { Backoff, EventStream } from './stream.js';

/** @typedef {import('./cursor.js').Notice} Notice */

/** @type {typeof import('./index.js').subscriptionLink} */
export const subscriptionLink =
  (options = {}) =>
  () =>
  ({ op }) =>
    observe(op, (emit) => {
      const subscription = new Subscription(options, op, emit);
      void subscription.follow();
      return { close: () => subscription.close() };
    });

class Subscription {
  #options;
  #op;
  #emit;
  #cursor = new Cursor();
  #backoff = new Backoff();
  #closed = new AbortController();
  #isConnecting = false;

  /**
   * @param {import('./index.js').ConnectionOptions} options
   * @param {import('@trpc/client').Operation} op
   * @param {(notice: Notice) => void} emit
   */
  constructor(options, op, emit) {
    this.#options = options;
    this.#op = op;
    this.#emit = emit;
  }

  close() {
    this.#closed.abort();
  }

  /** Until the server ends the subscription, it fails for good, or it is closed. */
  async follow() {
    this.#connecting(null);
    while (!this.#closed.signal.aborted) {
      /** @type {EventStream} */
      const stream = new EventStream((event) => this.#take(event, stream));
      try {
        await this.#run(stream);
        if (!this.#closed.signal.aborted) this.#emit({ type: 'ended' });
        return;
      } catch (cause) {
        if (this.#closed.signal.aborted) return;
        if (!(cause instanceof Interrupted)) {
          this.#emit({ type: 'failed', failure: failureOf(cause) });
          return;
        }
        this.#connecting(cause.failure);
      }
      await pause(this.#backoff.next(stream.retryMs), this.#closed.signal);
    }
  }

  /** @param {EventStream} stream */
  async #run(stream) {
    const { signal } = this.#closed;
    const abort = () => stream.abort();
    signal.addEventListener('abort', abort);
    try {
      await stream.run((connection) => this.#request(connection));
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** @param {AbortSignal} signal */
  async #request(signal) {
    const { path, input } = this.#op;
    const query = input == null ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
    /** @type {Record<string, string>} */
    const headers = { accept: 'text/event-stream', ...(await requestHeaders(this.#options.token)) };
    if (this.#cursor.id) headers['last-event-id'] = this.#cursor.id;
    const call = this.#options.fetch ?? globalThis.fetch;
    return call(`${endpoint(this.#options.url)}/${path}${query}`, { headers, signal, cache: 'no-store' });
  }

  /**
   * @param {import('./events.js').ServerEvent} event
   * @param {EventStream} stream
   * @returns {boolean} whether it ends the subscription
   */
  #take(event, stream) {
    if (event.event === 'ping' || event.event === 'message') this.#backoff.reset();
    const told = notice(event, this.#cursor);
    if (told?.type === 'ended') return true;
    if (told?.type === 'failed') {
      if (told.failure.shape?.code === RETRYABLE_CODE) throw new Interrupted(told.failure);
      this.#emit(told);
      this.close();
      return true;
    }
    if (told?.type === 'started') stream.expectWithin(parsed(event.data));
    if (told) {
      this.#isConnecting = false;
      this.#emit(told);
    }
    return false;
  }

  /** @param {import('./failure.js').Failure | null} failure */
  #connecting(failure) {
    if (this.#isConnecting && !failure) return;
    this.#isConnecting = true;
    this.#emit({ type: 'connecting', failure });
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
