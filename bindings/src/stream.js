// One answer of server-sent events, from its request to its end, and the pauses between one and the next.
// What the events mean is for `cursor.js` and the two that use it: `subscription.js` and `live.js`.

import { EventParser } from './events.js';
import { Interrupted, failureOf, refusal } from './failure.js';

/** Before the first reconnection, unless the server says otherwise; it doubles with each failure in a row. */
const DELAY_MS = 100;
const DELAY_MS_MAX = 5000;

/** How long the server may take until the stream begins. */
const CONNECT_MS_MAX = 30_000;

export class EventStream {
  #abort = new AbortController();
  #take;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** How long the server may be silent; 0: for ever. */
  #silenceMs = CONNECT_MS_MAX;
  #silent = false;

  /**
   * What the server says of when to come back.
   * @type {number | undefined}
   */
  retryMs;

  /** @param {(event: import('./events.js').ServerEvent) => boolean | void} take true: the stream has ended */
  constructor(take) {
    this.#take = take;
  }

  get aborted() {
    return this.#abort.signal.aborted;
  }

  /** Ends it and frees its socket; nothing is taken after this. */
  abort() {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** What the `connected` event says: how long nothing may come before the stream counts as broken. */
  expectWithin(/** @type {unknown} */ client) {
    this.#silenceMs = inactivity(client);
    this.#heard();
  }

  /**
   * Returns if `take` says so or the stream is aborted. Throws `Interrupted` if it was cut, and anything else
   * if it has failed for good.
   *
   * @param {(signal: AbortSignal) => Promise<Response>} request
   */
  async run(request) {
    this.#heard();
    try {
      const { signal } = this.#abort;
      const response = await request(signal).catch((cause) => {
        throw new Interrupted(failureOf(cause));
      });
      await this.#read(await body(response));
    } catch (cause) {
      if (this.#silent) {
        throw new Interrupted({ message: `nothing came from the server for ${this.#silenceMs} ms` });
      }
      if (!this.aborted) throw cause;
    } finally {
      this.abort();
    }
  }

  /** @param {ReadableStream<Uint8Array>} bytes */
  async #read(bytes) {
    const parser = new EventParser();
    const reader = bytes.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        throw new Interrupted(failureOf(cause));
      });
      if (this.aborted) return;
      if (done) throw new Interrupted({ message: 'the server closed the stream' });
      this.#heard();
      const events = parser.push(value);
      this.retryMs = parser.retry ?? this.retryMs;
      for (const event of events) {
        if (this.#take(event) || this.aborted) return;
      }
    }
  }

  #heard() {
    clearTimeout(this.#timer);
    if (this.#silenceMs === 0 || this.aborted) return;
    this.#timer = setTimeout(() => {
      this.#silent = true;
      this.abort();
    }, this.#silenceMs);
  }
}

/** The pauses before the next attempts, with jitter, so that many clients do not come back as one. */
export class Backoff {
  /** Failures in a row. */
  #failures = 0;

  reset() {
    this.#failures = 0;
  }

  /**
   * @param {number | undefined} retryMs what the server asks for
   * @returns {number} milliseconds
   */
  next(retryMs) {
    const base = Math.max(retryMs ?? DELAY_MS, 1);
    const delay = Math.min(base * 2 ** Math.min(this.#failures, 16), Math.max(DELAY_MS_MAX, base));
    this.#failures += 1;
    return delay * (0.5 + Math.random() / 2);
  }
}

/**
 * @param {Response} response
 * @returns {Promise<ReadableStream<Uint8Array>>}
 */
async function body(response) {
  const type = response.headers.get('content-type') ?? '';
  if (response.status === 200 && response.body && /^text\/event-stream\s*(;|$)/i.test(type)) {
    return response.body;
  }
  throw await refusal(response, type);
}

/**
 * @param {unknown} client the options that `connected` carries
 * @returns {number} 0: silence is no failure
 */
function inactivity(client) {
  if (typeof client !== 'object' || client === null || !('reconnectAfterInactivityMs' in client)) return 0;
  const ms = client.reconnectAfterInactivityMs;
  return typeof ms === 'number' && ms > 0 ? ms : 0;
}
