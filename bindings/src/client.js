// The package at run time. Plain JavaScript with its types in `index.d.ts`, so that it runs and type-checks
// without a build.

import {
  createTRPCClient,
  httpBatchLink,
  httpLink,
  isTRPCClientError,
  retryLink,
  splitLink,
} from '@trpc/client';
import { observable } from '@trpc/server/observable';
import { endpoint, requestHeaders } from './connection.js';
import { isPage, linkOver, liveLink, poolFor } from './page.js';
import { subscriptionLink } from './subscription.js';

export { liveLink, subscriptionLink };

/** How many calls the server takes in one request, and how long an address proxies let pass. */
const BATCH_CALLS_MAX = 20;
const URL_LENGTH_MAX = 4000;
/** A longer input is sent in a body. */
const INPUT_LENGTH_MAX = 3000;

/** How often a query is tried when nothing answers. */
const QUERY_ATTEMPTS_MAX = 3;

/** @type {typeof import('./index.js').createClient} */
export const createClient = (options = {}) => {
  // A program has connections to spare, so each subscription has its own.
  const pool = isPage() ? poolFor(options) : undefined;
  return createTRPCClient({
    links: [
      ...(pool ? [sessionLink(pool)] : []),
      retryLink({
        // Without `data` it was not the server that answered. A mutation may have been done all the same.
        retry: ({ op, error, attempts }) =>
          op.type === 'query' && !error.data && !op.signal?.aborted && attempts < QUERY_ATTEMPTS_MAX,
        retryDelayMs: (attempts) => 100 * 2 ** attempts,
      }),
      splitLink({
        condition: (op) => op.type === 'subscription',
        true: pool ? linkOver(pool) : subscriptionLink(options),
        false: splitLink({
          // A query whose input is too long for an address is sent as a mutation is.
          condition: (op) => op.type === 'query' && INPUT_LENGTH_MAX < encodedLength(op.input),
          true: httpLink({ ...http(options), methodOverride: 'POST' }),
          false: httpBatchLink({ ...http(options), maxItems: BATCH_CALLS_MAX, maxURLLength: URL_LENGTH_MAX }),
        }),
      }),
    ],
  });
};

/**
 * Once a call is told that the session has ended, whoever ended it, the subscriptions of all tabs are told
 * too.
 *
 * @param {import('./page.js').Pool} pool
 * @returns {import('@trpc/client').TRPCLink<import('./router.js').ClientRouter>}
 */
const sessionLink =
  (pool) =>
  () =>
  ({ op, next }) =>
    observable((observer) =>
      next(op).subscribe({
        next: (value) => observer.next(value),
        error: (error) => {
          if (op.type !== 'subscription' && error.data?.code === 'UNAUTHORIZED') pool.recheck();
          observer.error(error);
        },
        complete: () => observer.complete(),
      }),
    );

/** @typedef {import('./router.js').AppRouter['_def']['_config']['$types']} AnyRoot */

/** @param {import('./index.js').ConnectionOptions} options */
const http = (options) => ({
  url: endpoint(options.url),
  headers: () => requestHeaders(options.token),
  // tRPC's own type of the options differs only in what may be undefined.
  /** @type {NonNullable<import('@trpc/client').HTTPBatchLinkOptions<AnyRoot>['fetch']>} */
  fetch: (input, init) =>
    (options.fetch ?? globalThis.fetch)(input, /** @type {RequestInit | undefined} */ (init)),
});

/** @param {unknown} input */
const encodedLength = (input) => (input === undefined ? 0 : encodeURIComponent(JSON.stringify(input)).length);

/** @type {typeof import('./index.js').isClientError} */
export const isClientError = (cause) => isTRPCClientError(cause);
