/**
 * From the generated list of procedures to tRPC's own types. Types only: nothing here is loaded at run time.
 *
 * Events of subscriptions carry ids, by which a client resumes. tRPC's own link hands such an event to `onData`
 * as `{ id, data }`, and that is what `AppRouter` says. `createClient` takes the ids away, and its client is
 * one of `ClientRouter`.
 */
import type {
  TRPCBuiltRouter,
  TRPCDecorateCreateRouterOptions,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from '@trpc/server';
import type { TRPC_ERROR_CODE_NUMBER } from '@trpc/server/rpc';
import type { ApiError, Procedures } from './procedures.js';

interface Leaf {
  kind: 'query' | 'mutation' | 'subscription';
  input: unknown;
  output: unknown;
}

/** An input may be left out where it has no fields, or none that must be given. */
type Input<T> = [T] extends [null] ? void : {} extends T ? T | void : T;

type Procedure<T extends Leaf, Item> = T['kind'] extends 'query'
  ? TRPCQueryProcedure<{ meta: object; input: Input<T['input']>; output: T['output'] }>
  : T['kind'] extends 'mutation'
    ? TRPCMutationProcedure<{ meta: object; input: Input<T['input']>; output: T['output'] }>
    : TRPCSubscriptionProcedure<{ meta: object; input: Input<T['input']>; output: AsyncIterable<Item> }>;

/** What tRPC makes of a `TrackedEnvelope<T>` of the server, before a client sees it. */
export interface TrackedItem<T> {
  /** What the client sends back to go on behind this item. */
  id: string;
  data: T;
}

type Tracked<T> = {
  [K in keyof T]: T[K] extends Leaf ? Procedure<T[K], TrackedItem<T[K]['output']>> : Tracked<T[K]>;
};

type Plain<T> = {
  [K in keyof T]: T[K] extends Leaf ? Procedure<T[K], T[K]['output']> : Plain<T[K]>;
};

/** `ApiError`, with the number in the type that tRPC gives it. */
export type ErrorShape = Omit<ApiError, 'code'> & { code: TRPC_ERROR_CODE_NUMBER };

interface Root {
  ctx: object;
  meta: object;
  errorShape: ErrorShape;
  transformer: false;
}

/** The router as it is on the wire: for `createTRPCClient` with tRPC's own links, and for its React hooks. */
export type AppRouter = TRPCBuiltRouter<Root, TRPCDecorateCreateRouterOptions<Tracked<Procedures>>>;

/** The router as `createClient` shows it: subscriptions yield plain items. */
export type ClientRouter = TRPCBuiltRouter<Root, TRPCDecorateCreateRouterOptions<Plain<Procedures>>>;
