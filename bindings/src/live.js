// Many subscriptions over one stream, `POST /trpc-live`. The server keeps no session: when the set changes, a
// new request with every cursor takes the place of the one before as soon as it is answered.

import { endpoint, requestHeaders } from './connection.js';
import { Cursor, notice, parsed } from './cursor.js';
import { Interrupted, RETRYABLE_CODE, failureOf } from './failure.js';
import { Backoff, EventStream } from './stream.js';

/** Changes of the set within this time go out as one request: a page opens and closes several at a time. */
const DEBOUNCE_MS = 15;

/** How many subscriptions the server takes in one request. */
const SUBSCRIPTIONS_MAX = 100;
/** Connections, of the six that a browser allows to a server over plain HTTP/1.1. */
const CONNECTIONS_MAX = 3;

/**
 * @typedef {import('./cursor.js').Notice} Notice
 * @typedef {import('./failure.js').Failure} Failure
 * @typedef {{ path: string, input: unknown, lastEventId?: string | undefined }} Wanted
 * @typedef {{ close: () => void, pause: () => void, resume: () => void }} Handle
 */

/** One subscription, on whichever stream it is carried. */
class Entry {
  backoff = new Backoff();
  /** Whoever reads it is behind: nothing is taken for it until it is resumed. */
  isPaused = false;
  isConnecting = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} the server told it to come back later */
  rest;

  /**
   * @param {Wanted} wanted
   * @param {(notice: Notice) => void} emit
   */
  constructor({ path, input, lastEventId }, emit) {
    this.path = path;
    this.input = input;
    this.emit = emit;
    this.cursor = new Cursor(lastEventId);
  }

  /** @param {Failure | null} failure */
  connecting(failure) {
    if (this.isConnecting && !failure) return;
    this.isConnecting = true;
    this.emit({ type: 'connecting', failure });
  }
}

/** One request and what it carries. */
class Carrier {
  /** Whose events the stream is telling. @type {string | undefined} */
  current;
  isAnswered = false;
  /** It carries something that nobody wants any more. */
  hasSurplus = false;

  /**
   * @param {Set<string>} keys of subscriptions that have not ended on it
   * @param {EventStream} stream
   */
  constructor(keys, stream) {
    this.keys = keys;
    this.stream = stream;
  }

  /** @param {string} key */
  leaveOut(key) {
    if (this.keys.delete(key)) this.hasSurplus = true;
  }
}

/** The subscriptions that one stream carries, at most `SUBSCRIPTIONS_MAX`. */
export class LiveConnection {
  #request;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Carrier | undefined} the one that has answered */
  #current;
  /** @type {Carrier | undefined} the one that will take its place */
  #next;
  #backoff = new Backoff();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #dueAt = 0;
  #isStale = false;
  /** Nobody looks: nothing is carried until it is resumed. */
  #isPaused = false;
  #keys = 0;

  /** @param {(body: string, signal: AbortSignal) => Promise<Response>} request */
  constructor(request) {
    this.#request = request;
  }

  get isFull() {
    return this.#entries.size >= SUBSCRIPTIONS_MAX;
  }

  /**
   * @param {Wanted} wanted
   * @param {(notice: Notice) => void} emit
   * @returns {Handle}
   */
  open(wanted, emit) {
    this.#keys += 1;
    const key = `s${this.#keys}`;
    const entry = new Entry(wanted, emit);
    this.#entries.set(key, entry);
    entry.connecting(null);
    this.#renewWithin(DEBOUNCE_MS);
    return {
      close: () => this.#remove(key),
      pause: () => {
        entry.isPaused = true;
        this.#leaveOut(key);
      },
      resume: () => {
        entry.isPaused = false;
        this.#renewWithin(DEBOUNCE_MS);
      },
    };
  }

  /** Nobody looks: what comes meanwhile is told afterwards. */
  pause() {
    this.#isPaused = true;
    this.#renewWithin(0);
  }

  resume() {
    this.#isPaused = false;
    this.#renewWithin(0);
  }

  /** The network may be back, or somebody looks at the page again: whatever waits is tried at once. */
  wake() {
    this.#backoff.reset();
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.rest);
      entry.rest = undefined;
    }
    if (this.#entries.size > 0) this.#renewWithin(0);
  }

  /** Who is asking may have changed: the server is asked anew for all of it. */
  recheck() {
    if (this.#entries.size === 0) return;
    this.#isStale = true;
    this.#renewWithin(DEBOUNCE_MS);
  }

  /** @param {Failure} failure of every subscription */
  fail(failure) {
    const entries = [...this.#entries];
    for (const [key] of entries) this.#remove(key);
    this.#renew();
    for (const [, entry] of entries) entry.emit({ type: 'failed', failure });
  }

  /** @param {string} key */
  #remove(key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    clearTimeout(entry.rest);
    this.#entries.delete(key);
    this.#leaveOut(key);
  }

  /** @param {string} key */
  #leaveOut(key) {
    this.#current?.leaveOut(key);
    this.#next?.leaveOut(key);
    this.#renewWithin(DEBOUNCE_MS);
  }

  /** @param {number} ms an earlier time that is set stays */
  #renewWithin(ms) {
    const dueAt = Date.now() + ms;
    if (this.#timer !== undefined && this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#renew();
    }, ms);
  }

  /** Sends a request, if what is carried is not what is wanted. */
  #renew() {
    const wanted = new Set();
    for (const [key, entry] of this.#entries) {
      if (!this.#isPaused && !entry.isPaused && entry.rest === undefined) wanted.add(key);
    }
    if (wanted.size === 0) {
      this.#current?.stream.abort();
      this.#next?.stream.abort();
      this.#current = this.#next = undefined;
      return;
    }
    // One that is on its way is let be, or a set that keeps changing would never be answered: it is looked at
    // again when it has been.
    if (this.#next) return;
    const carrier = this.#current;
    if (carrier && !this.#isStale && !carrier.hasSurplus && isSubset(wanted, carrier.keys)) return;
    this.#isStale = false;
    this.#next = this.#carry(wanted);
  }

  /**
   * @param {Set<string>} keys
   * @returns {Carrier}
   */
  #carry(keys) {
    /** @type {EventStream} */
    const stream = new EventStream((event) => this.#take(event, carrier));
    /** @type {Carrier} */
    const carrier = new Carrier(keys, stream);
    const asked = [...keys].map((key) => {
      const { path, input, cursor } = /** @type {Entry} */ (this.#entries.get(key));
      return { key, path, input, lastEventId: cursor.id || undefined };
    });
    stream
      .run((signal) => this.#request(JSON.stringify(asked), signal))
      .then(
        () => undefined,
        (cause) => this.#lost(carrier, cause),
      );
    return carrier;
  }

  /**
   * @param {Carrier} carrier
   * @param {unknown} cause
   */
  #lost(carrier, cause) {
    if (carrier === this.#next) this.#next = undefined;
    else if (carrier === this.#current) this.#current = undefined;
    else return;
    const failure = failureOf(cause);
    // What another stream goes on carrying has lost nothing.
    const others = [this.#current, this.#next];
    const victims = [...carrier.keys].filter(
      (key) => !others.some((other) => other?.isAnswered && other.keys.has(key)),
    );
    if (cause instanceof Interrupted) {
      for (const key of victims) this.#entries.get(key)?.connecting(failure);
      if (!this.#next) this.#renewAfterPause(carrier);
      return;
    }
    // Refused as a whole. If the stream before goes on, what is new in this one must be at fault.
    const refused = victims.length > 0 ? victims : [...carrier.keys];
    for (const key of refused) this.#finish(key, { type: 'failed', failure });
  }

  /** @param {Carrier} carrier */
  #renewAfterPause(carrier) {
    // Every subscription has ended by itself: so has the stream, and nothing is lost.
    if (this.#entries.size > 0) this.#renewWithin(this.#backoff.next(carrier.stream.retryMs));
  }

  /**
   * @param {import('./events.js').ServerEvent} event
   * @param {Carrier} carrier
   */
  #take(event, carrier) {
    if (event.event === 'key') {
      carrier.current = event.data;
      return;
    }
    if (event.event === 'ping') {
      this.#backoff.reset();
      return;
    }
    const key = carrier.current;
    if (key === undefined) {
      if (event.event === 'connected') this.#answered(carrier, event.data);
      return;
    }
    const entry = carrier.keys.has(key) ? this.#entries.get(key) : undefined;
    if (!entry) return;
    if (event.event === 'message') {
      this.#backoff.reset();
      entry.backoff.reset();
    }
    const told = notice(event, entry.cursor);
    if (told) this.#tell(key, entry, told);
  }

  /**
   * @param {Carrier} carrier
   * @param {string} client
   */
  #answered(carrier, client) {
    if (carrier.isAnswered) return;
    carrier.isAnswered = true;
    carrier.stream.expectWithin(parsed(client));
    this.#current?.stream.abort();
    this.#current = carrier;
    this.#next = undefined;
    // The set may have changed while it was on its way.
    this.#renew();
  }

  /**
   * @param {string} key
   * @param {Entry} entry
   * @param {Notice} told
   */
  #tell(key, entry, told) {
    if (told.type === 'started') {
      // It has been carried all along: that its stream has changed is of no interest.
      if (!entry.isConnecting) return;
      entry.isConnecting = false;
      entry.emit(told);
    } else if (told.type === 'item') {
      entry.isConnecting = false;
      entry.emit(told);
    } else if (told.type === 'failed' && told.failure.shape?.code === RETRYABLE_CODE) {
      this.#endOnStreams(key);
      this.#restFor(entry, told.failure);
    } else {
      this.#finish(key, told);
    }
  }

  /**
   * It comes back later, alone: the others are not held up.
   *
   * @param {Entry} entry
   * @param {Failure} failure
   */
  #restFor(entry, failure) {
    entry.rest = setTimeout(() => {
      entry.rest = undefined;
      this.#renewWithin(0);
    }, entry.backoff.next(this.#current?.stream.retryMs));
    entry.connecting(failure);
  }

  /**
   * @param {string} key
   * @param {Notice} told the last that it tells
   */
  #finish(key, told) {
    const entry = this.#entries.get(key);
    this.#endOnStreams(key);
    this.#remove(key);
    entry?.emit(told);
  }

  /** The server sends nothing more for it. @param {string} key */
  #endOnStreams(key) {
    this.#current?.keys.delete(key);
    // The next one was asked for it before it had ended.
    this.#next?.leaveOut(key);
  }
}

/**
 * As many connections as it takes for all subscriptions to one server, which is one unless there are very
 * many.
 */
export class LivePool {
  #request;
  /** @type {LiveConnection[]} */
  #connections = [];

  /** @param {import('./index.js').ConnectionOptions} options */
  constructor(options) {
    const url = `${endpoint(options.url)}-live`;
    /**
     * @param {string} body
     * @param {AbortSignal} signal
     */
    this.#request = async (body, signal) => {
      const call = options.fetch ?? globalThis.fetch;
      const headers = {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...(await requestHeaders(options.token)),
      };
      return call(url, { method: 'POST', headers, body, signal, cache: 'no-store' });
    };
  }

  /**
   * @param {Wanted} wanted
   * @param {(notice: Notice) => void} emit
   * @returns {Handle}
   */
  open(wanted, emit) {
    let connection = this.#connections.find(({ isFull }) => !isFull);
    if (!connection && this.#connections.length < CONNECTIONS_MAX) {
      connection = new LiveConnection(this.#request);
      this.#connections.push(connection);
    }
    if (connection) return connection.open(wanted, emit);
    const message = `more than ${CONNECTIONS_MAX * SUBSCRIPTIONS_MAX} subscriptions at a time`;
    emit({ type: 'failed', failure: { message } });
    return { close: () => {}, pause: () => {}, resume: () => {} };
  }

  pause() {
    for (const connection of this.#connections) connection.pause();
  }

  resume() {
    for (const connection of this.#connections) connection.resume();
  }

  wake() {
    for (const connection of this.#connections) connection.wake();
  }

  recheck() {
    for (const connection of this.#connections) connection.recheck();
  }

  /** @param {Failure} failure */
  fail(failure) {
    for (const connection of this.#connections) connection.fail(failure);
  }
}

/**
 * @param {Set<string>} some
 * @param {Set<string>} all
 */
function isSubset(some, all) {
  for (const one of some) if (!all.has(one)) return false;
  return true;
}
