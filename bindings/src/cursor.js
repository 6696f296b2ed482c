// What the events of one subscription come to, whichever stream carries them: each item once and in order.

import { Refused, failureOfShape } from './failure.js';

/**
 * What a subscription tells. Items stay text until they reach the page that asked for them: the worker that
 * they pass through has no use for what they say.
 *
 * @typedef {{ type: 'connecting', failure: import('./failure.js').Failure | null }
 *   | { type: 'started' }
 *   | { type: 'item', id: string, text: string }
 *   | { type: 'ended' }
 *   | { type: 'failed', failure: import('./failure.js').Failure }} Notice
 */

/** Where a subscription stands in its stream. */
export class Cursor {
  /** What the client sends back to go on behind the last item. */
  id;
  /** The number of the last item that was handed on. */
  #number = -1;
  /** The last item, where its number says only which state it is a picture of. */
  #text = '';

  /** @param {string} [id] of the last item that the caller has had */
  constructor(id = '') {
    this.id = id;
    this.#number = ordinal(id)?.number ?? -1;
  }

  /**
   * Whether the item is new. After a reconnection the server may begin at one that came before.
   *
   * @param {string} id
   * @param {string} text
   */
  advance(id, text) {
    const place = ordinal(id);
    if (place) {
      if (place.number < this.#number) return false;
      if (place.number === this.#number && (place.isLine || text === this.#text)) return false;
      this.#number = place.number;
      if (!place.isLine) this.#text = text;
    }
    this.id = id;
    return true;
  }
}

/**
 * The notice that an event comes to, if any.
 *
 * @param {import('./events.js').ServerEvent} event
 * @param {Cursor} cursor
 * @returns {Notice | undefined}
 */
export function notice({ event, data, id }, cursor) {
  switch (event) {
    case 'connected':
      return { type: 'started' };
    case 'message':
      return cursor.advance(id, data) ? { type: 'item', id, text: data } : undefined;
    case 'restore-id':
      cursor.id = id;
      return undefined;
    case 'return':
      return { type: 'ended' };
    case 'serialized-error':
      return {
        type: 'failed',
        failure: failureOfShape(parsed(data)) ?? { message: 'the subscription failed' },
      };
    default:
      // A later server may send events that this client does not know.
      return undefined;
  }
}

/**
 * @param {string} text
 * @returns {unknown}
 */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Refused({ message: 'the server sent an event that is not JSON', cause });
  }
}

/**
 * The number in `<epoch>-<n>`, a log line's, or in `<version>`, a state's.
 *
 * @param {string} id
 */
function ordinal(id) {
  const match = /^(?:([0-9]+)-)?([0-9]{1,16})$/.exec(id);
  return match ? { number: Number(match[2]), isLine: match[1] !== undefined } : undefined;
}
