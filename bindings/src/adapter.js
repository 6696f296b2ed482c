// From what a subscription tells to what tRPC's links tell.

import { TRPCClientError } from '@trpc/client';
import { observable } from '@trpc/server/observable';
import { parsed } from './cursor.js';
import { failureOf } from './failure.js';

/**
 * @typedef {import('./index.js').ClientError} ClientError
 * @typedef {import('@trpc/client').OperationResultEnvelope<unknown, ClientError>} Envelope
 * @typedef {import('./cursor.js').Notice} Notice
 */

/**
 * The observable of a subscription; its signal and its unsubscription close it.
 *
 * @param {import('@trpc/client').Operation} op
 * @param {(emit: (notice: Notice) => void) => { close: () => void }} open
 */
export function observe(op, open) {
  return observable((observer) => {
    const report = reporter(
      (envelope) => observer.next(/** @type {never} */ (envelope)),
      (error) => observer.error(error),
      () => observer.complete(),
    );
    let isOver = false;
    /**
     * What a subscriber throws ends its own subscription, and no other on the same stream.
     *
     * @param {Notice} notice
     */
    const tell = (notice) => {
      try {
        return report(notice);
      } catch (cause) {
        return report({ type: 'failed', failure: failureOf(cause) });
      }
    };
    const close = () => {
      op.signal?.removeEventListener('abort', abort);
      if (isOver) return;
      isOver = true;
      subscription?.close();
    };
    const abort = () => {
      if (isOver) return;
      close();
      report({ type: 'ended' });
    };
    /** @type {{ close: () => void } | undefined} */
    let subscription;
    if (op.signal?.aborted) {
      abort();
    } else {
      op.signal?.addEventListener('abort', abort);
      subscription = open((notice) => {
        if (!isOver && tell(notice)) close();
      });
      if (isOver) subscription.close();
    }
    return () => {
      observer.complete();
      close();
    };
  });
}

/**
 * @param {(envelope: Envelope) => void} next
 * @param {(error: ClientError) => void} fail
 * @param {() => void} complete
 */
function reporter(next, fail, complete) {
  /** @type {'connecting' | 'pending' | undefined} */
  let state;
  const pending = () => {
    if (state === 'pending') return;
    state = 'pending';
    next({ result: { type: 'state', state, error: null } });
  };
  /**
   * Whether the subscription is over.
   *
   * @param {Notice} notice
   */
  return (notice) => {
    switch (notice.type) {
      case 'connecting':
        state = 'connecting';
        next({ result: { type: 'state', state, error: notice.failure && clientError(notice.failure) } });
        return false;
      case 'started':
        next({ result: { type: 'started' } });
        pending();
        return false;
      case 'item': {
        pending();
        const item = read(notice.text);
        if ('failure' in item) {
          fail(clientError(item.failure));
          return true;
        }
        next({ result: { type: 'data', data: item.data } });
        return false;
      }
      case 'ended':
        next({ result: { type: 'stopped' } });
        next({ result: { type: 'state', state: 'idle', error: null } });
        complete();
        return true;
      case 'failed':
        fail(clientError(notice.failure));
        return true;
    }
  };
}

/**
 * @param {string} text
 * @returns {{ data: unknown } | { failure: import('./failure.js').Failure }}
 */
function read(text) {
  try {
    return { data: parsed(text) };
  } catch (cause) {
    return { failure: failureOf(cause) };
  }
}

/**
 * @param {import('./failure.js').Failure} failure
 * @returns {ClientError}
 */
function clientError({ message, shape, cause }) {
  if (shape) return TRPCClientError.from({ error: shape });
  return cause instanceof Error ? TRPCClientError.from(cause) : new TRPCClientError(message);
}
