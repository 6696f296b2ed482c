// What carries the subscriptions of a client, and what a page tells it of its own life.

import { observe } from './adapter.js';
import { endpoint } from './connection.js';
import { LivePool } from './live.js';
import { SharedPool } from './shared.js';

/**
 * @typedef {import('./live.js').Wanted} Wanted
 * @typedef {import('./cursor.js').Notice} Notice
 *
 * @typedef {object} Pool
 * @property {(wanted: Wanted, emit: (notice: Notice) => void) => { close: () => void }} open
 * @property {() => void} pause
 * @property {() => void} resume
 * @property {() => void} wake
 * @property {() => void} recheck
 */

/** How long a page that nobody looks at goes on listening: many come back at once. */
const HIDDEN_MS = 30_000;

/** One for each server, however many clients a page makes. @type {Map<string, Pool>} */
const shared = new Map();

/** Whether this runs in a page of a browser. */
export const isPage = () => typeof document !== 'undefined' && typeof window !== 'undefined';

/** @type {typeof import('./index.js').liveLink} */
export const liveLink = (options = {}) => linkOver(poolFor(options));

/**
 * @param {Pool} pool
 * @returns {import('@trpc/client').TRPCLink<import('./router.js').ClientRouter>}
 */
export const linkOver =
  (pool) =>
  () =>
  ({ op }) =>
    observe(op, (emit) => pool.open({ path: op.path, input: op.input }, emit));

/**
 * Shared by all tabs where that is possible. A token or a `fetch` is one client's own, so that client's
 * connection is.
 *
 * @param {import('./index.js').ConnectionOptions} options
 * @returns {Pool}
 */
export function poolFor(options) {
  if (!isPage()) return new LivePool(options);
  if (options.token !== undefined || options.fetch !== undefined || typeof SharedWorker === 'undefined') {
    return attached(new LivePool(options));
  }
  const url = new URL(endpoint(options.url), document.baseURI).href;
  const known = shared.get(url);
  if (known) return known;
  const made = new SharedPool(url, undefined, navigator.locks);
  window.addEventListener('pagehide', () => made.leave());
  shared.set(url, attached(made));
  return made;
}

/**
 * @template {Pool} P
 * @param {P} pool
 * @returns {P}
 */
function attached(pool) {
  window.addEventListener('online', () => pool.wake());
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) pool.wake();
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hidden;
  const look = () => {
    clearTimeout(hidden);
    if (document.visibilityState === 'hidden') {
      hidden = setTimeout(() => pool.pause(), HIDDEN_MS);
      return;
    }
    pool.resume();
    pool.wake();
  };
  document.addEventListener('visibilitychange', look);
  if (document.visibilityState === 'hidden') look();
  return pool;
}
