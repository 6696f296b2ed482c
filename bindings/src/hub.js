// What runs in the SharedWorker: the tabs of a browser on one side, one pool of subscriptions on the other.

import { LivePool } from './live.js';
import { Outbox } from './outbox.js';

/** How often a tab is asked whether it is there, and after what silence it is given up. */
const PING_MS = 30_000;
const SILENT_MS_MAX = 3 * 60_000;

/**
 * @typedef {import('./cursor.js').Notice} Notice
 *
 * @typedef {{ type: 'hello', url: string }
 *   | { type: 'lock', name: string }
 *   | { type: 'open', id: number, path: string, input: unknown, lastEventId: string }
 *   | { type: 'close', id: number }
 *   | { type: 'acknowledge' }
 *   | { type: 'pong' }
 *   | { type: 'pause' }
 *   | { type: 'resume' }
 *   | { type: 'wake' }
 *   | { type: 'recheck' }
 *   | { type: 'bye' }} FromTab
 *
 * @typedef {{ type: 'welcome' }
 *   | { type: 'notices', notices: [number, Notice][] }
 *   | { type: 'ping' }
 *   | { type: 'stranger' }} ToTab `stranger`: the tab was given up, and has to begin anew
 *
 * @typedef {object} Port what is used of a MessagePort
 * @property {(message: ToTab) => void} postMessage
 * @property {((event: { data: FromTab }) => void) | null} onmessage
 * @property {() => void} close
 *
 * @typedef {Pick<LivePool, 'open' | 'wake' | 'recheck'>} Pool
 */

export class Hub {
  #makePool;
  #locks;
  /** @type {Pool | undefined} */
  #pool;
  /** @type {Set<Tab>} */
  #tabs = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pings;

  /**
   * @param {(url: string) => Pool} [makePool]
   * @param {Pick<LockManager, 'request'> | undefined} [locks] where the browser has them
   */
  constructor(makePool = (url) => new LivePool({ url }), locks = undefined) {
    this.#makePool = makePool;
    this.#locks = locks;
  }

  /** @param {Port} port of a tab that has just connected */
  connect(port) {
    /** @type {Tab | undefined} */
    let tab;
    port.onmessage = ({ data }) => {
      if (data.type === 'hello') {
        // The worker's name has the address in it, so every tab names the same.
        this.#pool ??= this.#makePool(data.url);
        tab ??= this.#admit(port, this.#pool);
        port.postMessage({ type: 'welcome' });
      } else if (!tab || tab.isGone) {
        port.postMessage({ type: 'stranger' });
      } else {
        this.#take(tab, data);
      }
    };
  }

  /** The network is there again. */
  wake() {
    this.#pool?.wake();
  }

  /**
   * @param {Port} port
   * @param {Pool} pool
   */
  #admit(port, pool) {
    const tab = new Tab(port, pool);
    this.#tabs.add(tab);
    this.#pings ??= setInterval(() => this.#ping(), PING_MS);
    return tab;
  }

  /**
   * @param {Tab} tab
   * @param {Exclude<FromTab, { type: 'hello' }>} message
   */
  #take(tab, message) {
    tab.heardAt = Date.now();
    switch (message.type) {
      case 'open':
        tab.open(message);
        break;
      case 'close':
        tab.close(message.id);
        break;
      case 'acknowledge':
        tab.outbox.acknowledge();
        break;
      case 'lock':
        this.#watch(tab, message.name);
        break;
      case 'pause':
        tab.pause();
        break;
      case 'resume':
        tab.resume();
        break;
      case 'wake':
        this.#pool?.wake();
        break;
      case 'recheck':
        this.#pool?.recheck();
        break;
      case 'bye':
        this.#drop(tab);
        break;
      case 'pong':
        break;
    }
  }

  /**
   * The tab holds this lock as long as it lives, so whoever gets it knows that the tab is gone.
   *
   * @param {Tab} tab
   * @param {string} name
   */
  #watch(tab, name) {
    this.#locks
      ?.request(name, () => this.#drop(tab))
      .catch(() => {
        // Without locks, the tab is known by its answers.
      });
  }

  /** @param {Tab} tab */
  #drop(tab) {
    if (!this.#tabs.delete(tab)) return;
    tab.end();
    if (this.#tabs.size > 0) return;
    clearInterval(this.#pings);
    this.#pings = undefined;
  }

  #ping() {
    for (const tab of this.#tabs) {
      if (Date.now() - tab.heardAt > SILENT_MS_MAX) this.#drop(tab);
      else tab.port.postMessage({ type: 'ping' });
    }
  }
}

/** One tab and its subscriptions. */
class Tab {
  heardAt = Date.now();
  isGone = false;
  /** Nobody looks at it. */
  #isPaused = false;
  #pool;
  /** @type {Map<number, import('./live.js').Handle>} */
  #handles = new Map();

  /**
   * @param {Port} port
   * @param {Pool} pool
   */
  constructor(port, pool) {
    this.port = port;
    this.#pool = pool;
    this.outbox = new Outbox(
      (notices) => port.postMessage({ type: 'notices', notices }),
      () => this.#handles.forEach((handle) => handle.pause()),
      () => this.#resumeHandles(),
    );
  }

  pause() {
    this.#isPaused = true;
    for (const handle of this.#handles.values()) handle.pause();
  }

  resume() {
    this.#isPaused = false;
    this.#resumeHandles();
  }

  #resumeHandles() {
    if (this.#isPaused || this.outbox.isBehind) return;
    for (const handle of this.#handles.values()) handle.resume();
  }

  /** @param {Extract<FromTab, { type: 'open' }>} message */
  open({ id, path, input, lastEventId }) {
    const handle = this.#pool.open({ path, input, lastEventId }, (notice) => {
      if (notice.type === 'ended' || notice.type === 'failed') this.#handles.delete(id);
      this.outbox.push(id, postable(notice));
    });
    this.#handles.set(id, handle);
    if (this.#isPaused || this.outbox.isBehind) handle.pause();
  }

  /** @param {number} id */
  close(id) {
    this.#handles.get(id)?.close();
    this.#handles.delete(id);
  }

  end() {
    this.isGone = true;
    this.outbox.end();
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
  }
}

/**
 * Not everything that was thrown can be posted, and nobody reads it.
 *
 * @param {Notice} notice
 * @returns {Notice}
 */
function postable(notice) {
  if (!('failure' in notice) || !notice.failure) return notice;
  const { cause: _, ...failure } = notice.failure;
  return { ...notice, failure };
}
