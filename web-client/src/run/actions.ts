import type { RetryFrom, RunDetails } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';

import { trpc } from '../api/client';
import { learn } from '../api/runs';

export interface RunActions {
  cancel: () => void;
  retry: (from: RetryFrom) => void;
  isCanceling: boolean;
  isRetrying: boolean;
  error: unknown;
}

/** What can be done to a run. */
export function useRunActions({ id }: RunDetails): RunActions {
  const cancel = useMutation(trpc.runs.cancel.mutationOptions({ onSuccess: learn }));
  const retry = useMutation(trpc.runs.retry.mutationOptions({ onSuccess: learn }));
  return {
    cancel: () => {
      retry.reset();
      if (!cancel.isPending) cancel.mutate({ runId: id });
    },
    retry: (from) => {
      cancel.reset();
      if (!retry.isPending) retry.mutate({ runId: id, from });
    },
    isCanceling: cancel.isPending,
    isRetrying: retry.isPending,
    error: cancel.error ?? retry.error,
  };
}
