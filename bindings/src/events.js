// Server-sent events, parsed as they come in. Browsers have this in EventSource, which can send no headers;
// Node 20 has no EventSource.

/**
 * @typedef {object} ServerEvent
 * @property {string} event its name; `message` where none is given
 * @property {string} data
 * @property {string} id the last id that the stream has given so far; empty: none
 */

/** The longest line that is kept. Log lines are far shorter: what is longer is no event stream of ours. */
const LINE_LENGTH_MAX = 16 * 1024 * 1024;

export class EventParser {
  #decoder = new TextDecoder();
  /** The beginning of a line whose end has not come yet. */
  #line = '';
  /** The last character was a carriage return, so a line feed at once after it ends nothing. */
  #afterReturn = false;
  #event = '';
  /** @type {string[]} */
  #data = [];
  #dataLength = 0;
  #id = '';

  /**
   * What the server says of when to reconnect, in milliseconds.
   * @type {number | undefined}
   */
  retry;

  /**
   * The events that these bytes complete. Bytes may be cut anywhere.
   *
   * @param {Uint8Array} bytes
   * @returns {ServerEvent[]}
   */
  push(bytes) {
    /** @type {ServerEvent[]} */
    const events = [];
    const text = this.#decoder.decode(bytes, { stream: true });
    let start = 0;
    if (this.#afterReturn && text.length > 0) {
      this.#afterReturn = false;
      if (text[0] === '\n') start = 1;
    }
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end; end = ends.exec(text)) {
      const line = this.#line + text.slice(start, end.index);
      this.#line = '';
      start = ends.lastIndex;
      this.#afterReturn = end[0] === '\r' && start === text.length;
      const event = this.#takeLine(line);
      if (event) events.push(event);
    }
    this.#line += text.slice(start);
    if (this.#line.length + this.#dataLength > LINE_LENGTH_MAX) {
      throw new Error(`an event is longer than ${LINE_LENGTH_MAX} characters`);
    }
    return events;
  }

  /**
   * @param {string} line
   * @returns {ServerEvent | undefined}
   */
  #takeLine(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
    } else if (field === 'event') {
      this.#event = value;
    } else if (field === 'id') {
      if (!value.includes('\0')) this.#id = value;
    } else if (field === 'retry' && /^[0-9]{1,9}$/.test(value)) {
      this.retry = Number(value);
    }
    return undefined;
  }

  /** @returns {ServerEvent | undefined} */
  #dispatch() {
    const event = this.#event || 'message';
    const data = this.#data;
    this.#event = '';
    this.#data = [];
    this.#dataLength = 0;
    // What follows belongs to another subscription, whose place this stream has not told yet.
    if (event === 'key') this.#id = '';
    // The standard: an event without a data line is none.
    return data.length > 0 ? { event, data: data.join('\n'), id: this.#id } : undefined;
  }
}
