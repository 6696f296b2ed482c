import { useSubscription } from '@trpc/tanstack-react-query';

import { heard, queryClient, trpc } from './client';

/** Has the lists of runs that are shown read again whenever the server says that runs have changed. */
export function useLiveLists(): void {
  useSubscription(
    trpc.runs.watchList.subscriptionOptions(
      {},
      {
        onData: () => void queryClient.invalidateQueries({ queryKey: trpc.runs.list.pathKey() }),
        onError: heard,
      },
    ),
  );
}
