import type { TRPCClient, TRPCClientError, TRPCLink } from '@trpc/client';
import type { ClientRouter } from './router.js';

export type * from './procedures.js';
export type { AppRouter, ClientRouter, ErrorShape, TrackedItem } from './router.js';

/** An access token, or what gives one; it is asked before each request, so it may change. */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

export interface ConnectionOptions {
  /**
   * Where the server is, such as `http://127.0.0.1:3001`. `/trpc` is added where it is missing. Without it, in a
   * browser, the page's own server.
   */
  url?: string | undefined;
  /** For programs. A browser that has signed in needs none: its cookie goes to the page's own server. */
  token?: TokenSource | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

/** A client of every procedure, with its links set up. */
export type Client = TRPCClient<ClientRouter>;

/** What a call throws and `onError` is given. `data` is there when the server has answered. */
export type ClientError = TRPCClientError<ClientRouter>;

/**
 * Makes a client: queries and mutations are batched, queries are tried again when the network fails, and
 * subscriptions reconnect by themselves, without losing or repeating an item.
 */
export declare const createClient: (options?: ConnectionOptions) => Client;

/**
 * The link that `createClient` uses for subscriptions in a browser, for clients with links of their own: one
 * connection carries the subscriptions of all tabs, held by a SharedWorker. A client with a `token` or a `fetch`
 * of its own, and one without a SharedWorker, has a connection of its own for all of its subscriptions. It ends
 * the chain, and hands plain items to `onData`.
 */
export declare const liveLink: (options?: ConnectionOptions) => TRPCLink<ClientRouter>;

/**
 * The link that `createClient` uses for subscriptions in programs, for clients with links of their own: a
 * connection for each. It ends the chain, needs no `EventSource`, and hands plain items to `onData`.
 */
export declare const subscriptionLink: (options?: ConnectionOptions) => TRPCLink<ClientRouter>;

/** Whether something that was caught is a call's error. */
export declare const isClientError: (cause: unknown) => cause is ClientError;
