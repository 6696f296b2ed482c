// The SharedWorker: one for all tabs of a browser that use the same version of this package with the same
// server.

import { Hub } from './hub.js';

/**
 * TypeScript's types are either a page's or a worker's, and this package's are a page's.
 *
 * @typedef {object} Scope what is used of a SharedWorkerGlobalScope
 * @property {(event: MessageEvent) => void} onconnect
 * @property {typeof globalThis.addEventListener} addEventListener
 */

const scope = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));
const hub = new Hub(undefined, globalThis.navigator.locks);

scope.onconnect = (/** @type {MessageEvent} */ event) => {
  const [port] = event.ports;
  if (port) hub.connect(/** @type {import('./hub.js').Port} */ (/** @type {unknown} */ (port)));
};
scope.addEventListener('online', () => hub.wake());
