// What waits to be posted to one tab. A tab that is slow is given larger batches, and one that is far behind
// is paused: it goes on by its cursors when it has caught up, and the others never wait for it.

/** A batch per frame: a page can show no more. */
const BATCH_MS = 16;
const BATCH_NOTICES_MAX = 2000;
/** A tab that has more than this waiting is behind. Each notice is a log line or a state. */
const WAITING_NOTICES_MAX = 16_000;
const WAITING_CHARACTERS_MAX = 8 * 1024 * 1024;

/** @typedef {import('./cursor.js').Notice} Notice */

export class Outbox {
  #post;
  #onBehind;
  #onCaughtUp;
  /** @type {[number, Notice][]} */
  #waiting = [];
  #characters = 0;
  isBehind = false;
  /** A batch is on its way: the next goes when it has been acknowledged. */
  #isPosted = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {(notices: [number, Notice][]) => void} post
   * @param {() => void} onBehind nothing more may be pushed, apart from what a subscription tells of itself
   * @param {() => void} onCaughtUp
   */
  constructor(post, onBehind, onCaughtUp) {
    this.#post = post;
    this.#onBehind = onBehind;
    this.#onCaughtUp = onCaughtUp;
  }

  /**
   * @param {number} id of the tab's subscription
   * @param {Notice} notice
   */
  push(id, notice) {
    this.#waiting.push([id, notice]);
    if (notice.type === 'item') this.#characters += notice.text.length;
    this.#schedule();
    const isBehind =
      this.#waiting.length >= WAITING_NOTICES_MAX || this.#characters >= WAITING_CHARACTERS_MAX;
    if (isBehind && !this.isBehind) {
      this.isBehind = true;
      this.#onBehind();
    }
  }

  /** The tab has worked off the last batch. */
  acknowledge() {
    this.#isPosted = false;
    if (this.#waiting.length > 0) {
      this.#schedule();
    } else if (this.isBehind) {
      this.isBehind = false;
      this.#onCaughtUp();
    }
  }

  end() {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #schedule() {
    if (this.#isPosted || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush() {
    this.#timer = undefined;
    const batch = this.#waiting.splice(0, BATCH_NOTICES_MAX);
    for (const [, notice] of batch) if (notice.type === 'item') this.#characters -= notice.text.length;
    this.#isPosted = true;
    this.#post(batch);
  }
}
