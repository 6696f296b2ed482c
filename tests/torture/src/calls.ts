import { setTimeout as pause } from 'node:timers/promises';

import { createClient, isClientError, type Client } from '@slipway/client';

/** A call that nothing answers, as behind a link that swallows it, is given up after this. */
const CALL_MS_MAX = 8_000;
const AGAIN_MS = 400;

/** What may be answered while something is broken, and not when the same is asked again later. */
const PASSING = new Set([
  'INTERNAL_SERVER_ERROR',
  'SERVICE_UNAVAILABLE',
  'TIMEOUT',
  'GATEWAY_TIMEOUT',
  'BAD_GATEWAY',
  'TOO_MANY_REQUESTS',
]);

/** For queries and mutations. Subscriptions look after themselves, and take a client without a time limit. */
export function hastyClient(url: string, token: string): Client {
  return createClient({
    url,
    token,
    fetch: (input, init) => {
      const late = AbortSignal.timeout(CALL_MS_MAX);
      return fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, late]) : late });
    },
  });
}

/** The code of a refusal that no fault explains; undefined for a failure that passes. */
export function refusalOf(error: unknown): string | undefined {
  if (!isClientError(error)) throw error;
  const code = error.data?.code;
  return code === undefined || PASSING.has(code) ? undefined : `${code}: ${error.message}`;
}

export type Answer<T> = { value: T } | { refusal: string } | 'given up';

/** Asks until there is an answer, whatever breaks meanwhile, or `signal` fires. */
export async function answered<T>(signal: AbortSignal, call: () => Promise<T>): Promise<Answer<T>> {
  while (!signal.aborted) {
    try {
      return { value: await call() };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) return { refusal };
    }
    await pause(AGAIN_MS);
  }
  return 'given up';
}
