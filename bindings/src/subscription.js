// Subscriptions over fetch: a tRPC link that reconnects by itself and hands every item to `onData` once.

import { TRPCClientError } from '@trpc/client';
import { observable } from '@trpc/server/observable';
import { endpoint, requestHeaders } from './connection.js';
import { EventParser } from './events.js';

/** Before the first reconnection, unless the server says otherwise; it doubles with each failure in a row. */
const DELAY_MS = 100;
const DELAY_MS_MAX = 5000;

/** How long the server may take until the stream begins. */
const CONNECT_MS_MAX = 30_000;

/** The JSON-RPC number of what may pass: a server that is restarting or overloaded. */
const RETRYABLE_CODE = -32603;

/** What an answer without tRPC's own body means. */
const CODES = /** @type {const} */ ({
  400: ['BAD_REQUEST', -32600],
  401: ['UNAUTHORIZED', -32001],
  403: ['FORBIDDEN', -32003],
  404: ['NOT_FOUND', -32004],
  405: ['METHOD_NOT_SUPPORTED', -32005],
  413: ['PAYLOAD_TOO_LARGE', -32013],
  415: ['UNSUPPORTED_MEDIA_TYPE', -32015],
});

/**
 * @typedef {import('./index.js').ClientError} ClientError
 * @typedef {import('./index.js').ClientRouter} ClientRouter
 * @typedef {import('@trpc/client').OperationResultEnvelope<unknown, ClientError>} Envelope
 */

/**
 * The stream was cut, or could not begin for a reason that passes. Anything else that is thrown is final.
 */
class Interrupted extends Error {
  /** @param {ClientError} reason */
  constructor(reason) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/** @type {typeof import('./index.js').subscriptionLink} */
export const subscriptionLink =
  (options = {}) =>
  () =>
  ({ op }) =>
    observable((observer) => {
      const abort = new AbortController();
      const forward = () => abort.abort();
      if (op.signal?.aborted) forward();
      op.signal?.addEventListener('abort', forward);

      const subscription = new Subscription(options, op, abort.signal, (envelope) => {
        if (!abort.signal.aborted) observer.next(/** @type {never} */ (envelope));
      });
      subscription.follow().then(
        () => {
          observer.next({ result: { type: 'stopped' } });
          observer.next({ result: { type: 'state', state: 'idle', error: null } });
          observer.complete();
        },
        (cause) => observer.error(clientError(cause)),
      ).finally(() => op.signal?.removeEventListener('abort', forward));

      return () => {
        observer.complete();
        abort.abort();
      };
    });

class Subscription {
  #options;
  #op;
  #signal;
  #emit;
  #lastEventId = '';
  /** The number of the last log line that was handed on. */
  #lastNumber = -1;
  /** Failures in a row. */
  #failures = 0;
  /** @type {number | undefined} */
  #retry;
  /** @type {'connecting' | 'pending' | undefined} */
  #state;

  /**
   * @param {import('./index.js').ConnectionOptions} options
   * @param {import('@trpc/client').Operation} op
   * @param {AbortSignal} signal
   * @param {(envelope: Envelope) => void} emit
   */
  constructor(options, op, signal, emit) {
    this.#options = options;
    this.#op = op;
    this.#signal = signal;
    this.#emit = emit;
  }

  /** Until the server ends the subscription, it fails for good, or the signal is given. */
  async follow() {
    this.#become('connecting', null);
    while (!this.#signal.aborted) {
      try {
        await this.#connection();
        return;
      } catch (cause) {
        if (this.#signal.aborted) return;
        if (!(cause instanceof Interrupted)) throw cause;
        this.#become('connecting', cause.reason);
      }
      await pause(this.#delay(), this.#signal);
    }
  }

  /**
   * One connection, to its end. Returns if the subscription has ended, throws if it was cut or has failed.
   */
  async #connection() {
    const connection = new AbortController();
    const forward = () => connection.abort();
    if (this.#signal.aborted) forward();
    this.#signal.addEventListener('abort', forward);
    const silence = new Silence(() => connection.abort());
    silence.allow(CONNECT_MS_MAX);
    try {
      const response = await this.#request(connection.signal);
      await this.#read(response, silence);
    } catch (cause) {
      if (silence.broken) {
        throw new Interrupted(new TRPCClientError(`nothing came from the server for ${silence.ms} ms`));
      }
      throw cause;
    } finally {
      silence.end();
      this.#signal.removeEventListener('abort', forward);
      // Frees the socket, whatever ended the connection.
      connection.abort();
    }
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStream<Uint8Array>>}
   */
  async #request(signal) {
    const { path, input } = this.#op;
    const query = input == null ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
    /** @type {Record<string, string>} */
    const headers = { accept: 'text/event-stream', ...(await requestHeaders(this.#options.token)) };
    if (this.#lastEventId) headers['last-event-id'] = this.#lastEventId;

    const call = this.#options.fetch ?? globalThis.fetch;
    const url = `${endpoint(this.#options.url)}/${path}${query}`;
    const response = await call(url, { headers, signal, cache: 'no-store' }).catch((cause) => {
      throw new Interrupted(clientError(cause));
    });
    const type = response.headers.get('content-type') ?? '';
    if (response.status === 200 && response.body && /^text\/event-stream\s*(;|$)/i.test(type)) {
      return response.body;
    }
    const error = await answerError(response, type);
    // Overload, a proxy without its server: it passes. The rest stays as it is.
    if (response.status >= 500 || response.status === 408 || response.status === 429) throw new Interrupted(error);
    throw error;
  }

  /**
   * @param {ReadableStream<Uint8Array>} body
   * @param {Silence} silence
   */
  async #read(body, silence) {
    const parser = new EventParser();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        throw new Interrupted(clientError(cause));
      });
      if (done) throw new Interrupted(new TRPCClientError('the server closed the stream'));
      silence.heard();
      const events = parser.push(value);
      this.#retry = parser.retry ?? this.#retry;
      for (const event of events) {
        if (this.#signal.aborted || this.#take(event, silence)) return;
      }
    }
  }

  /**
   * Whether the event ends the subscription.
   *
   * @param {import('./events.js').ServerEvent} event
   * @param {Silence} silence
   * @returns {boolean}
   */
  #take(event, silence) {
    switch (event.event) {
      case 'connected': {
        const client = parsed(event.data);
        silence.allow(inactivity(client));
        this.#emit({ result: { type: 'started' } });
        this.#become('pending', null);
        return false;
      }
      case 'message':
        this.#item(event);
        return false;
      case 'serialized-error': {
        const error = clientError({ error: parsed(event.data) });
        throw error.shape?.code === RETRYABLE_CODE ? new Interrupted(error) : error;
      }
      case 'return':
        return true;
      case 'ping':
        this.#failures = 0;
        return false;
      case 'restore-id':
        this.#lastEventId = event.id;
        return false;
      default:
        // A later server may send events that this client does not know.
        return false;
    }
  }

  /** @param {import('./events.js').ServerEvent} event */
  #item(event) {
    this.#failures = 0;
    this.#become('pending', null);
    const number = lineNumber(event.id);
    if (number !== undefined) {
      // After a reconnection the server may begin at a line that came before: each is handed on once.
      if (number <= this.#lastNumber) return;
      this.#lastNumber = number;
    }
    const data = parsed(event.data);
    this.#lastEventId = event.id;
    this.#emit({ result: { type: 'data', data } });
  }

  /**
   * @param {'connecting' | 'pending'} state
   * @param {ClientError | null} error
   */
  #become(state, error) {
    if (this.#state === state && !error) return;
    this.#state = state;
    this.#emit({
      result:
        state === 'connecting' ? { type: 'state', state, error } : { type: 'state', state, error: null },
    });
  }

  /** Milliseconds before the next attempt, with jitter, so that many clients do not come back as one. */
  #delay() {
    const base = Math.max(this.#retry ?? DELAY_MS, 1);
    const delay = Math.min(base * 2 ** Math.min(this.#failures, 16), Math.max(DELAY_MS_MAX, base));
    this.#failures += 1;
    return delay * (0.5 + Math.random() / 2);
  }
}

/** Ends a connection on which nothing comes for too long. */
class Silence {
  #onBroken;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  ms = 0;
  broken = false;

  /** @param {() => void} onBroken */
  constructor(onBroken) {
    this.#onBroken = onBroken;
  }

  /** @param {number | undefined} ms undefined: for ever */
  allow(ms) {
    this.ms = ms ?? 0;
    this.heard();
  }

  heard() {
    clearTimeout(this.#timer);
    if (this.ms > 0) {
      this.#timer = setTimeout(() => {
        this.broken = true;
        this.#onBroken();
      }, this.ms);
    }
  }

  end() {
    clearTimeout(this.#timer);
  }
}

/**
 * The `n` of `<epoch>-<n>`.
 *
 * @param {string} id
 * @returns {number | undefined}
 */
function lineNumber(id) {
  const match = /^[0-9]+-([0-9]+)$/.exec(id);
  return match ? Number(match[1]) : undefined;
}

/**
 * @param {unknown} client the options that `connected` carries
 * @returns {number | undefined}
 */
function inactivity(client) {
  if (typeof client !== 'object' || client === null || !('reconnectAfterInactivityMs' in client)) return undefined;
  const ms = client.reconnectAfterInactivityMs;
  return typeof ms === 'number' && ms > 0 ? ms : undefined;
}

/**
 * @param {string} data
 * @returns {unknown}
 */
function parsed(data) {
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw new TRPCClientError('the server sent an event that is not JSON', { cause: asError(cause) });
  }
}

/**
 * What an answer that is no event stream says.
 *
 * @param {Response} response
 * @param {string} type
 * @returns {Promise<ClientError>}
 */
async function answerError(response, type) {
  const { status } = response;
  const text = await response.text().catch(() => '');
  try {
    const error = clientError(JSON.parse(text));
    if (error.data) return error;
  } catch {
    // Not tRPC's words: a proxy's, say. The status has to do.
  }
  if (status === 200) return new TRPCClientError(`expected an event stream, got ${type || 'nothing'}`);
  const message = `the server answered ${status} ${response.statusText}`.trim();
  const known = CODES[/** @type {keyof typeof CODES} */ (status)];
  if (!known) return new TRPCClientError(message);
  const [code, number] = known;
  return clientError({ error: { message, code: number, data: { code, httpStatus: status } } });
}

/**
 * @param {unknown} cause
 * @returns {ClientError}
 */
function clientError(cause) {
  return TRPCClientError.from(typeof cause === 'object' && cause !== null ? cause : asError(cause));
}

/**
 * @param {unknown} cause
 * @returns {Error}
 */
function asError(cause) {
  return cause instanceof Error ? cause : new Error(String(cause));
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
