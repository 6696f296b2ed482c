// Checked by tsc, never run: what must type-check, and what must not.

import { createTRPCClient, httpBatchLink, type TRPCClientErrorLike } from '@trpc/client';
import { expectTypeOf } from 'vitest';
import {
  createClient,
  isClientError,
  type ApiErrorCode,
  type AppRouter,
  type ClientError,
  type InputProblem,
  type LogLine,
  type Page,
  type Pipeline,
  type PipelineId,
  type Run,
  type RunDetails,
  type RunId,
  type RunState,
} from '@slipway/client';

export async function whatIsPromised() {
  const trpc = createClient({ url: 'http://127.0.0.1:3001', token: 'secret' });
  const run = await trpc.pipelines.trigger.mutate({ pipelineId: 'xxx', branch: 'main' });
  trpc.pipelines.streamLogs.subscribe(
    { runId: run.id },
    { onData: (log) => console.log(`[${log.timestamp}] ${log.message}`) },
  );
  trpc.pipelines.watchRun.subscribe(
    { runId: run.id },
    { onData: (s) => console.log(`Status: ${s.status}, Progress: ${s.progress}%`) },
  );
  expectTypeOf(run.id).toEqualTypeOf<RunId>();
  expectTypeOf(run).toExtend<Run>();
}

export async function outputsAndInputs() {
  const trpc = createClient();
  expectTypeOf(await trpc.runs.get.query({ runId: 'r' })).toExtend<RunDetails>();
  expectTypeOf(await trpc.runs.get.query({ runId: 'r' })).toExtend<Run>();
  expectTypeOf(await trpc.pipelines.list.query()).toExtend<Page<Pipeline>>();
  await trpc.pipelines.list.query({ limit: 5, cursor: null });
  await trpc.system.health.query();
  await trpc.runs.list.query({ status: 'timed_out' });
  await trpc.pipelines.update.mutate({ pipelineId: 'p', description: null });

  // @ts-expect-error a misspelt field
  await trpc.pipelines.trigger.mutate({ pipelinId: 'xxx' });
  // @ts-expect-error a field that does not exist
  await trpc.pipelines.trigger.mutate({ pipelineId: 'xxx', brunch: 'main' });
  // @ts-expect-error a required field is missing
  await trpc.pipelines.trigger.mutate({});
  // @ts-expect-error a required input is missing
  await trpc.runs.get.query();
  // @ts-expect-error a status that there is not
  await trpc.runs.list.query({ status: 'done' });
  // @ts-expect-error a query is not a mutation
  await trpc.runs.get.mutate({ runId: 'r' });
  // @ts-expect-error a procedure that there is not
  await trpc.runs.explode.mutate({ runId: 'r' });
  // @ts-expect-error no input is taken
  await trpc.system.health.query({ verbose: true });
}

export async function brandsAreNotMixed() {
  const trpc = createClient();
  const pipeline = await trpc.pipelines.get.query({ pipelineId: 'build' });
  expectTypeOf(pipeline.id).toEqualTypeOf<PipelineId>();
  // @ts-expect-error a pipeline's id is no run's id
  await trpc.runs.get.query({ runId: pipeline.id });
  const text: string = 'from somewhere';
  await trpc.runs.get.query({ runId: text });
}

export function subscriptions() {
  const trpc = createClient();
  trpc.pipelines.streamLogs.subscribe(
    { runId: 'r', after: -1 },
    {
      onData: (log) => expectTypeOf(log).toExtend<LogLine>(),
      onError: (error) => expectTypeOf(error.data?.code).toEqualTypeOf<ApiErrorCode | undefined>(),
    },
  );
  trpc.pipelines.watchRun.subscribe(
    { runId: 'r' },
    {
      onData: (state) => {
        expectTypeOf(state).toExtend<RunState>();
        // @ts-expect-error the state carries no output
        console.log(state.message);
      },
    },
  );
}

export function errors(cause: unknown) {
  if (!isClientError(cause)) return;
  expectTypeOf(cause).toEqualTypeOf<ClientError>();
  expectTypeOf(cause.data?.field).toEqualTypeOf<string | undefined>();
  expectTypeOf(cause.data?.problems).toEqualTypeOf<InputProblem[] | undefined>();
  expectTypeOf(cause.data?.requestId).toEqualTypeOf<string | undefined>();
  expectTypeOf(cause.data?.httpStatus).toEqualTypeOf<number | undefined>();
}

/** tRPC's own client, for whoever prefers it: a tracked item is `{ id, data }` there. */
export async function plainTrpc() {
  const trpc = createTRPCClient<AppRouter>({ links: [httpBatchLink({ url: 'http://127.0.0.1:3001/trpc' })] });
  const run = await trpc.pipelines.trigger.mutate({ pipelineId: 'xxx', branch: 'main' });
  expectTypeOf(run.id).toEqualTypeOf<RunId>();
  trpc.pipelines.streamLogs.subscribe(
    { runId: run.id },
    {
      onData: (event) => {
        expectTypeOf(event.id).toEqualTypeOf<string>();
        expectTypeOf(event.data).toExtend<LogLine>();
      },
    },
  );
  expectTypeOf<TRPCClientErrorLike<AppRouter>['data']>().toEqualTypeOf<ClientError['data']>();
  // @ts-expect-error a misspelt field
  await trpc.pipelines.trigger.mutate({ pipelinId: 'xxx' });
}
