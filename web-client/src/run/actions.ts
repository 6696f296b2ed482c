import type { RetryFrom, RunDetails } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';

import { trpc } from '../api/client';
import { useMe } from '../api/me';
import { learn } from '../api/runs';
import { noCancel, noRetry, type Refusal } from './refusal';

export interface RunActions {
  cancel: () => void;
  retry: (from: RetryFrom) => void;
  /** Why nothing would come of it; null: something would. */
  noCancel: Refusal | null;
  noRetry: Refusal | null;
  isCanceling: boolean;
  isRetrying: boolean;
  error: unknown;
}

/** What can be done to a run. */
export function useRunActions(run: RunDetails): RunActions {
  const me = useMe();
  const cancel = useMutation(trpc.runs.cancel.mutationOptions({ onSuccess: learn }));
  const retry = useMutation(trpc.runs.retry.mutationOptions({ onSuccess: learn }));
  const refused = { cancel: noCancel(run, me), retry: noRetry(run, me) };
  return {
    cancel: () => {
      if (refused.cancel !== null) return;
      retry.reset();
      if (!cancel.isPending) cancel.mutate({ runId: run.id });
    },
    retry: (from) => {
      if (refused.retry !== null) return;
      cancel.reset();
      if (!retry.isPending) retry.mutate({ runId: run.id, from });
    },
    noCancel: refused.cancel,
    noRetry: refused.retry,
    isCanceling: cancel.isPending,
    isRetrying: retry.isPending,
    error: cancel.error ?? retry.error,
  };
}
