// The tab's side of the SharedWorker. It knows its subscriptions and how far each has come, so it can begin
// anew with another worker, or without one, at any time.

import { LivePool } from './live.js';
import { VERSION } from './version.js';

/** A worker that has not answered after this is not going to: the tab does by itself. */
const WELCOME_MS_MAX = 20_000;
/** The worker speaks every 30 s. */
const CHECK_MS = 30_000;
const SILENT_MS_MAX = 100_000;

/**
 * @typedef {import('./cursor.js').Notice} Notice
 * @typedef {import('./live.js').Wanted} Wanted
 * @typedef {import('./hub.js').FromTab} FromTab
 * @typedef {import('./hub.js').ToTab} ToTab
 *
 * @typedef {object} Port what is used of a MessagePort
 * @property {(message: FromTab) => void} postMessage
 * @property {((event: { data: ToTab }) => void) | null} onmessage
 * @property {() => void} close
 *
 * @typedef {object} Worker what is used of a SharedWorker
 * @property {Port} port
 * @property {(() => void) | null} onerror
 *
 * @typedef {object} Subscription
 * @property {string} path
 * @property {unknown} input
 * @property {string} lastEventId
 * @property {(notice: Notice) => void} emit
 * @property {{ close: () => void }} [own] without a worker
 */

export class SharedPool {
  #url;
  #makeWorker;
  #locks;
  /** @type {Map<number, Subscription>} */
  #subscriptions = new Map();
  #ids = 0;
  /** @type {Worker | undefined} */
  #worker;
  #heardAt = 0;
  #isPaused = false;
  /** @type {(() => void) | undefined} */
  #releaseLock;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #welcome;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #checks;
  /** @type {LivePool | undefined} where there is no worker to be had */
  #own;

  /**
   * @param {string} url absolute, with `/trpc`
   * @param {(url: string) => Worker} [makeWorker]
   * @param {Pick<LockManager, 'request'> | undefined} [locks] a plain-HTTP page has none, unless of localhost
   */
  constructor(url, makeWorker = sharedWorker, locks = undefined) {
    this.#url = url;
    this.#makeWorker = makeWorker;
    this.#locks = locks;
  }

  /**
   * @param {Wanted} wanted
   * @param {(notice: Notice) => void} emit
   * @returns {{ close: () => void }}
   */
  open({ path, input, lastEventId = '' }, emit) {
    this.#ids += 1;
    const id = this.#ids;
    /** @type {Subscription} */
    const subscription = { path, input, lastEventId, emit };
    this.#subscriptions.set(id, subscription);
    if (this.#own) this.#openOwn(id, subscription);
    else if (this.#worker) this.#post({ type: 'open', id, path, input, lastEventId });
    else this.#join();
    return {
      close: () => {
        if (!this.#subscriptions.delete(id)) return;
        subscription.own?.close();
        this.#post({ type: 'close', id });
      },
    };
  }

  /** Nobody looks at the page: what comes meanwhile is told afterwards. */
  pause() {
    this.#isPaused = true;
    if (this.#own) this.#own.pause();
    else this.#post({ type: 'pause' });
  }

  resume() {
    this.#isPaused = false;
    if (this.#own) this.#own.resume();
    else this.#post({ type: 'resume' });
  }

  /** Somebody looks at the page again, or the network is back. */
  wake() {
    if (this.#own) {
      this.#own.wake();
    } else if (this.#worker && Date.now() - this.#heardAt <= SILENT_MS_MAX) {
      this.#post({ type: 'wake' });
    } else {
      this.#rejoin();
    }
  }

  /** Who is asking may have changed, and with it what all tabs may see. */
  recheck() {
    if (this.#own) {
      this.#own.recheck();
      return;
    }
    // A page without subscriptions has no part in the worker yet, but the other tabs have.
    if (!this.#worker) this.#join();
    this.#post({ type: 'recheck' });
  }

  /** The page is left, perhaps to come back as it is: `wake` begins anew. */
  leave() {
    if (!this.#worker) return;
    this.#post({ type: 'bye' });
    this.#part();
  }

  #rejoin() {
    this.leave();
    if (this.#subscriptions.size > 0) this.#join();
  }

  #join() {
    /** @type {Worker} */
    let worker;
    try {
      worker = this.#makeWorker(this.#url);
    } catch {
      // Refused by a policy, or by the browser.
      this.#goAlone();
      return;
    }
    this.#worker = worker;
    this.#heardAt = Date.now();
    worker.onerror = () => {
      if (worker === this.#worker) this.#goAlone();
    };
    worker.port.onmessage = ({ data }) => {
      if (worker === this.#worker) this.#take(data);
    };
    this.#welcome = setTimeout(() => this.#goAlone(), WELCOME_MS_MAX);
    this.#checks = setInterval(() => this.#check(), CHECK_MS);
    this.#post({ type: 'hello', url: this.#url });
    for (const [id, { path, input, lastEventId }] of this.#subscriptions) {
      this.#post({ type: 'open', id, path, input, lastEventId });
    }
    if (this.#isPaused) this.#post({ type: 'pause' });
    this.#lock(worker);
  }

  /**
   * The page holds its lock before it names it: the worker, which waits for it, would otherwise get it first
   * and take the page for gone.
   *
   * @param {Worker} worker
   */
  #lock(worker) {
    const name = `slipway-tab-${randomName()}`;
    const held = () => {
      if (worker !== this.#worker) return undefined;
      this.#post({ type: 'lock', name });
      return new Promise((release) => {
        this.#releaseLock = () => release(undefined);
      });
    };
    this.#locks?.request(name, held).catch(() => {
      // Without a lock, the worker knows the page by its answers.
    });
  }

  /** @param {ToTab} message */
  #take(message) {
    this.#heardAt = Date.now();
    switch (message.type) {
      case 'welcome':
        clearTimeout(this.#welcome);
        break;
      case 'notices':
        for (const [id, notice] of message.notices) this.#tell(id, notice);
        this.#post({ type: 'acknowledge' });
        break;
      case 'ping':
        this.#post({ type: 'pong' });
        break;
      case 'stranger':
        this.#rejoin();
        break;
    }
  }

  /**
   * @param {number} id
   * @param {Notice} notice
   */
  #tell(id, notice) {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return;
    if (notice.type === 'item') subscription.lastEventId = notice.id;
    if (notice.type === 'ended' || notice.type === 'failed') this.#subscriptions.delete(id);
    subscription.emit(notice);
  }

  #check() {
    if (Date.now() - this.#heardAt > SILENT_MS_MAX) this.#rejoin();
  }

  #goAlone() {
    this.#part();
    const own = new LivePool({ url: this.#url });
    this.#own = own;
    for (const [id, subscription] of this.#subscriptions) this.#openOwn(id, subscription);
    if (this.#isPaused) own.pause();
  }

  /**
   * @param {number} id
   * @param {Subscription} subscription
   */
  #openOwn(id, subscription) {
    const handle = this.#own?.open(subscription, (notice) => this.#tell(id, notice));
    if (handle) subscription.own = handle;
  }

  #part() {
    clearTimeout(this.#welcome);
    clearInterval(this.#checks);
    this.#releaseLock?.();
    this.#releaseLock = undefined;
    this.#worker?.port.close();
    this.#worker = undefined;
  }

  /** @param {FromTab} message */
  #post(message) {
    this.#worker?.port.postMessage(message);
  }
}

/**
 * Written so that bundlers see which file it is.
 *
 * @param {string} url
 * @returns {Worker}
 */
function sharedWorker(url) {
  return /** @type {Worker} */ (
    /** @type {unknown} */ (
      new SharedWorker(new URL('./worker.js', import.meta.url), {
        type: 'module',
        name: `slipway ${VERSION} ${url}`,
      })
    )
  );
}

/** `randomUUID` is not to be had on a plain-HTTP page. */
function randomName() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');
}
