import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query';
import { createClient, isClientError, type ClientRouter } from '@slipway/client';

import { build } from './build';
import { connection, PROBE_MS } from './connection';
import { session } from './session';

const STALE_MS = 10_000;
const KEPT_MS = 10 * 60_000;

/** The server that gave this page; the session's cookie says who is asking. */
export const client = createClient({ url: window.location.origin });

/** Whatever is asked tells whether the server is there, and whether it knows who is asking. */
export function heard(error: unknown): void {
  if (!isClientError(error)) return;
  if (error.data === null || error.data === undefined) {
    // A page that is left aborts what it asked for: that says nothing of the server.
    if (error.cause?.name !== 'AbortError') connection.lost();
    return;
  }
  connection.answered();
  if (error.data.code === 'UNAUTHORIZED') session.ended();
}

/** The same of a subscription, which tells it by its states too. */
export const following = {
  onConnectionStateChange({ state, error }: { state: string; error: unknown }): void {
    if (state === 'pending') connection.answered();
    else if (error !== null && error !== undefined) heard(error);
  },
  onError: heard,
};

const listening = { onError: heard, onSuccess: () => connection.answered() };

export const queryClient = new QueryClient({
  queryCache: new QueryCache(listening),
  mutationCache: new MutationCache(listening),
  defaultOptions: {
    queries: {
      staleTime: STALE_MS,
      gcTime: KEPT_MS,
      // The bindings try again by themselves, and `connection` does once the server is back.
      retry: false,
      // A browser that thinks it is offline still reaches a server on its own machine.
      networkMode: 'always',
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});

/** Options of queries, mutations and subscriptions, for TanStack's hooks. */
export const trpc = createTRPCOptionsProxy<ClientRouter>({ client, queryClient });

connection.onBack = () => {
  void queryClient.invalidateQueries();
  // It may be another one, after an upgrade.
  void build.look();
};
connection.probe = () => client.system.health.query(undefined, { signal: AbortSignal.timeout(PROBE_MS) });
