// Checked by tsc, never run: what the hooks of `@trpc/tanstack-react-query` infer from `AppRouter`.

import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import type { DataTag, QueryClient } from '@tanstack/react-query';
import {
  createTRPCClient,
  httpBatchLink,
  type TRPCClientError,
  type TRPCClientErrorLike,
} from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import { createTRPCContext, createTRPCOptionsProxy, useSubscription } from '@trpc/tanstack-react-query';
import { expectTypeOf } from 'vitest';
import {
  createClient,
  type ApiErrorCode,
  type AppRouter,
  type ClientRouter,
  type InputProblem,
  type LogLine,
  type Page,
  type Pipeline,
  type Run,
  type RunDetails,
  type RunId,
  type RunState,
  type TriggerInput,
} from '@slipway/client';

export const { TRPCProvider, useTRPC, useTRPCClient } = createTRPCContext<AppRouter>();

export function queries() {
  const trpc = useTRPC();
  const details = useQuery(trpc.runs.get.queryOptions({ runId: 'r' }));
  expectTypeOf(details.data).toExtend<RunDetails | undefined>();
  expectTypeOf(details.data?.id).toEqualTypeOf<RunId | undefined>();
  expectTypeOf(details.error).toEqualTypeOf<TRPCClientErrorLike<AppRouter> | null>();
  expectTypeOf(details.error?.data?.code).toEqualTypeOf<ApiErrorCode | undefined>();
  expectTypeOf(details.error?.data?.problems).toEqualTypeOf<InputProblem[] | undefined>();

  const number = useQuery(trpc.runs.get.queryOptions({ runId: 'r' }, { select: (run) => run.number }));
  expectTypeOf(number.data).toEqualTypeOf<number | undefined>();

  // No input is needed where no field is.
  expectTypeOf(useQuery(trpc.system.health.queryOptions()).data?.version).toEqualTypeOf<string | undefined>();
  expectTypeOf(useQuery(trpc.pipelines.list.queryOptions()).data).toExtend<Page<Pipeline> | undefined>();

  // @ts-expect-error a misspelt field
  trpc.pipelines.get.queryOptions({ pipelinId: 'web' });
  // @ts-expect-error a required input is missing
  trpc.runs.get.queryOptions();
  // @ts-expect-error a mutation is not a query
  trpc.pipelines.trigger.queryOptions({ pipelineId: 'web' });
  // @ts-expect-error a procedure that there is not
  trpc.runs.explode.queryOptions({ runId: 'r' });
}

export function infiniteQueries() {
  const trpc = useTRPC();
  const runs = useInfiniteQuery(
    trpc.runs.list.infiniteQueryOptions(
      { pipelineId: 'web', status: 'failed', limit: 20 },
      { getNextPageParam: (page) => page.nextCursor },
    ),
  );
  expectTypeOf(runs.data?.pages[0]?.items[0]).toExtend<Run | undefined>();
  expectTypeOf(runs.data?.pages[0]?.nextCursor).toEqualTypeOf<string | null | undefined>();

  const pipelines = useInfiniteQuery(
    trpc.pipelines.list.infiniteQueryOptions(
      { search: 'web' },
      { getNextPageParam: (page) => page.nextCursor, initialCursor: null },
    ),
  );
  expectTypeOf(pipelines.data?.pages[0]?.items[0]).toExtend<Pipeline | undefined>();

  trpc.runs.list.infiniteQueryOptions(
    // @ts-expect-error a misspelt field
    { pipelinId: 'web' },
    { getNextPageParam: (page) => page.nextCursor },
  );
  // @ts-expect-error a query without a cursor has no pages
  trpc.runs.get.infiniteQueryOptions({ runId: 'r' }, { getNextPageParam: () => null });
}

export function mutations() {
  const trpc = useTRPC();
  const trigger = useMutation(
    trpc.pipelines.trigger.mutationOptions({
      onSuccess: (run, input) => {
        expectTypeOf(run.id).toEqualTypeOf<RunId>();
        expectTypeOf(input).toEqualTypeOf<TriggerInput>();
      },
      onError: (error) => expectTypeOf(error.data?.field).toEqualTypeOf<string | undefined>(),
    }),
  );
  trigger.mutate({ pipelineId: 'web', branch: 'main' });
  expectTypeOf(trigger.data).toExtend<Run | undefined>();

  // @ts-expect-error a misspelt field
  trigger.mutate({ pipelinId: 'web' });
  // @ts-expect-error a required input is missing
  trigger.mutate();
  // @ts-expect-error a query is not a mutation
  trpc.runs.get.mutationOptions();
}

export function subscriptions() {
  const trpc = useTRPC();
  const logs = useSubscription(
    trpc.pipelines.streamLogs.subscriptionOptions(
      { runId: 'r', after: -1 },
      {
        onData: (event) => {
          expectTypeOf(event.id).toEqualTypeOf<string>();
          expectTypeOf(event.data).toExtend<LogLine>();
        },
        onError: (error) => expectTypeOf(error.data?.code).toEqualTypeOf<ApiErrorCode | undefined>(),
      },
    ),
  );
  expectTypeOf(logs.data?.data).toExtend<LogLine | undefined>();

  const state = useSubscription(trpc.pipelines.watchRun.subscriptionOptions({ runId: 'r' }));
  expectTypeOf(state.data?.data).toExtend<RunState | undefined>();

  // @ts-expect-error a misspelt field
  trpc.pipelines.streamLogs.subscriptionOptions({ runid: 'r' });
  // @ts-expect-error a subscription is not a query
  trpc.pipelines.watchRun.queryOptions({ runId: 'r' });
}

export async function keys(queryClient: QueryClient) {
  const trpc = createTRPCOptionsProxy<AppRouter>({
    client: createTRPCClient<AppRouter>({ links: [httpBatchLink({ url: 'http://127.0.0.1:3001/trpc' })] }),
    queryClient,
  });
  const key = trpc.runs.get.queryKey({ runId: 'r' });
  expectTypeOf(key).toExtend<DataTag<readonly unknown[], unknown, unknown>>();
  expectTypeOf(queryClient.getQueryData(key)).toExtend<RunDetails | undefined>();
  expectTypeOf(queryClient.getQueryData(key)?.number).toEqualTypeOf<number | undefined>();
  queryClient.setQueryData(key, (run) => run && { ...run, progress: 100 });
  // @ts-expect-error progress is a number
  queryClient.setQueryData(key, (run) => run && { ...run, progress: 'all' });

  await queryClient.invalidateQueries({ queryKey: trpc.runs.pathKey() });
  await queryClient.invalidateQueries(trpc.runs.list.queryFilter({ pipelineId: 'web' }));
  const pages = queryClient.getQueryData(trpc.runs.list.infiniteQueryKey({ pipelineId: 'web' }));
  expectTypeOf(pages?.pages[0]?.items[0]).toExtend<Run | undefined>();
  const run = await queryClient.fetchQuery(trpc.runs.get.queryOptions({ runId: 'r' }));
  expectTypeOf(run).toExtend<RunDetails>();
  // @ts-expect-error a misspelt field
  trpc.runs.list.queryKey({ pipelinId: 'web' });
}

/** Over the package's own client, subscriptions yield plain items here too. */
export function ownClient(queryClient: QueryClient) {
  const trpc = createTRPCOptionsProxy<ClientRouter>({ client: createClient(), queryClient });
  trpc.pipelines.streamLogs.subscriptionOptions(
    { runId: 'r' },
    { onData: (log) => expectTypeOf(log.message).toEqualTypeOf<string>() },
  );
  // @ts-expect-error a misspelt field
  trpc.pipelines.get.queryOptions({ pipelinId: 'web' });
}

/** What a program takes apart for types of its own. */
export function inferred(
  inputs: inferRouterInputs<AppRouter>,
  outputs: inferRouterOutputs<AppRouter>,
  error: TRPCClientError<AppRouter>,
) {
  expectTypeOf(inputs.pipelines.trigger).toEqualTypeOf<TriggerInput>();
  expectTypeOf(outputs.pipelines.trigger).toExtend<Run>();
  expectTypeOf(outputs.runs.get.id).toEqualTypeOf<RunId>();
  expectTypeOf(error.data?.code).toEqualTypeOf<ApiErrorCode | undefined>();
  expectTypeOf(error.data?.field).toEqualTypeOf<string | undefined>();
  expectTypeOf(error.data?.problems).toEqualTypeOf<InputProblem[] | undefined>();
  // @ts-expect-error a procedure that there is not
  type Explosion = inferRouterInputs<AppRouter>['runs']['explode'];
  return undefined as Explosion | undefined;
}
