import { QueryClient } from '@tanstack/react-query';
import { createTRPCClient, httpLink } from '@trpc/client';
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query';
import { expect, test } from 'vitest';
import { createClient, type AppRouter, type ClientRouter } from '@slipway/client';

interface Call {
  method: string;
  path: string;
  input: unknown;
}

/** A server that gives these results in turn, and what it was asked. */
function server(...results: unknown[]) {
  const calls: Call[] = [];
  const answer = (address: unknown, init?: { method?: string; body?: unknown }): Promise<Response> => {
    const url = new URL(String(address));
    const input = typeof init?.body === 'string' ? init.body : url.searchParams.get('input');
    calls.push({
      method: init?.method ?? 'GET',
      path: url.pathname,
      input: input === null ? undefined : JSON.parse(input),
    });
    const result = { result: { data: results.shift() } };
    return Promise.resolve(Response.json(url.searchParams.has('batch') ? [result] : result));
  };
  return { calls, answer };
}

const url = 'http://127.0.0.1:3001/trpc';

function plain(answer: ReturnType<typeof server>['answer']) {
  const queryClient = new QueryClient();
  const client = createTRPCClient<AppRouter>({ links: [httpLink({ url, fetch: answer })] });
  return { queryClient, trpc: createTRPCOptionsProxy<AppRouter>({ client, queryClient }) };
}

test('an infinite query of runs goes from cursor to cursor', async () => {
  const { calls, answer } = server(
    { items: [{ id: 'b' }], nextCursor: 'c1' },
    { items: [{ id: 'a' }], nextCursor: null },
  );
  const { queryClient, trpc } = plain(answer);
  const options = trpc.runs.list.infiniteQueryOptions(
    { pipelineId: 'web', limit: 1 },
    { getNextPageParam: (page) => page.nextCursor },
  );
  const data = await queryClient.fetchInfiniteQuery({ ...options, pages: 2 });
  expect(data.pages.map((page) => page.items[0]?.id)).toEqual(['b', 'a']);
  const asked = { pipelineId: 'web', limit: 1, direction: 'forward' };
  expect(calls).toEqual([
    { method: 'GET', path: '/trpc/runs.list', input: asked },
    { method: 'GET', path: '/trpc/runs.list', input: { ...asked, cursor: 'c1' } },
  ]);
});

test('a query is kept under its key, and forgotten by the key of its router', async () => {
  const { answer } = server({ id: 'r', number: 7 });
  const { queryClient, trpc } = plain(answer);
  await queryClient.fetchQuery(trpc.runs.get.queryOptions({ runId: 'r' }));
  const key = trpc.runs.get.queryKey({ runId: 'r' });
  expect(queryClient.getQueryData(key)?.number).toBe(7);
  await queryClient.invalidateQueries({ queryKey: trpc.runs.pathKey() });
  expect(queryClient.getQueryState(key)?.isInvalidated).toBe(true);
});

test('a mutation is a POST of its input', async () => {
  const { calls, answer } = server({ id: 'r' });
  const { queryClient, trpc } = plain(answer);
  const options = trpc.pipelines.trigger.mutationOptions();
  const run = await queryClient
    .getMutationCache()
    .build(queryClient, options)
    .execute({ pipelineId: 'web', branch: 'main' });
  expect(run.id).toBe('r');
  expect(calls).toEqual([
    { method: 'POST', path: '/trpc/pipelines.trigger', input: { pipelineId: 'web', branch: 'main' } },
  ]);
});

test('the hooks work over the client that the package makes', async () => {
  const { answer } = server({ id: 'r', number: 7 });
  const queryClient = new QueryClient();
  const client = createClient({ url, fetch: answer as typeof fetch });
  const trpc = createTRPCOptionsProxy<ClientRouter>({ client, queryClient });
  const run = await queryClient.fetchQuery(trpc.runs.get.queryOptions({ runId: 'r' }));
  expect(run.number).toBe(7);
});
