import { createClient } from '@slipway/client';

/** The server that gave this page; the session's cookie says who is asking. */
export const trpc = createClient({ url: window.location.origin });

interface TypedError {
  data?: { code?: string } | null;
  message: string;
}

function isTypedError(error: unknown): error is TypedError {
  return error instanceof Error && 'data' in error;
}

export function isSignedOut(error: unknown): boolean {
  return isTypedError(error) && error.data?.code === 'UNAUTHORIZED';
}

/** What went wrong, for a person. */
export function words(error: unknown): string {
  if (isSignedOut(error))
    return 'You are not signed in. Open the link that the server prints at each start.';
  return error instanceof Error ? error.message : String(error);
}
