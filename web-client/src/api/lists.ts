import { skipToken } from '@tanstack/react-query';
import { useSubscription } from '@trpc/tanstack-react-query';

import { following, queryClient, trpc } from './client';

/**
 * Has what is shown of lists of runs read again whenever the server says that runs have changed. Every page listens, so
 * every page knows at once whether the server is there.
 */
export function useLiveLists(isSignedIn: boolean): void {
  useSubscription(
    trpc.runs.watchList.subscriptionOptions(isSignedIn ? {} : skipToken, {
      onData: () => {
        for (const { pathKey } of [trpc.runs.list, trpc.pipelines.stats])
          void queryClient.invalidateQueries({ queryKey: pathKey() });
      },
      ...following,
    }),
  );
}
