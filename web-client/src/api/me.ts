import type { Me } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';

import { trpc } from './client';

/** Who is signed in, and whether that is known. What is shown follows it, what is allowed the server decides. */
export function useMeQuery() {
  return useQuery(trpc.auth.me.queryOptions());
}

/** Who is signed in; undefined until that is known. */
export function useMe(): Me | undefined {
  return useMeQuery().data;
}
