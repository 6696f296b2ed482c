import { isClientError } from '@slipway/client';

import type { Catalogue } from '../text/en';

export interface Explained {
  /** For a person. */
  words: string;
  /** What the server's log has it under. */
  requestId: string | null;
  /** Of a form. */
  field: string | null;
}

/** What went wrong, in the reader's language where its kind says all, and in the server's words where they say more. */
export function explain(error: unknown, { errors }: Catalogue): Explained {
  if (!isClientError(error)) return { words: error instanceof Error ? error.message : String(error), requestId: null, field: null };
  const { data } = error;
  if (data === null || data === undefined) return { words: errors.offline, requestId: null, field: null };
  const words = {
    UNAUTHORIZED: errors.signedOut,
    FORBIDDEN: errors.forbidden,
    NOT_FOUND: errors.notFound,
    TOO_MANY_REQUESTS: errors.busy,
    SERVICE_UNAVAILABLE: error.message,
    INTERNAL_SERVER_ERROR: errors.internal,
  }[data.code as string];
  return { words: words ?? error.message, requestId: data.requestId ?? null, field: data.field ?? null };
}

export function isNotFound(error: unknown): boolean {
  return isClientError(error) && error.data?.code === 'NOT_FOUND';
}
