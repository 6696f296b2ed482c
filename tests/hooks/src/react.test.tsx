// `@trpc/tanstack-react-query` over `createClient`, drawn by React, with a real server.

import { find, stage, texts, type } from './dom.js';

import {
  QueryClient,
  QueryClientProvider,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { createTRPCContext, useSubscription } from '@trpc/tanstack-react-query';
import { createClient, type ClientRouter, type PipelineId, type RunId } from '@slipway/client';
import { useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';

const { TRPCProvider, useTRPC } = createTRPCContext<ClientRouter>();

const NAMES = ['alpha', 'beta', 'delta', 'epsilon', 'gamma'];

let slipway: Installation;
let unmount = () => {};

beforeAll(async () => {
  slipway = await Installation.start();
  for (const name of NAMES) {
    await slipway.client.pipelines.create.mutate({ name, definition: script('seq 1 20') });
  }
});
afterEach(() => unmount());
afterAll(async () => await slipway?.stop());

function render(node: ReactNode): HTMLElement {
  const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const trpcClient = createClient({ url: slipway.url, token: slipway.adminToken });
  const element = stage();
  const root = createRoot(element);
  root.render(
    <QueryClientProvider client={queryClient}>
      <TRPCProvider trpcClient={trpcClient} queryClient={queryClient}>
        {node}
      </TRPCProvider>
    </QueryClientProvider>,
  );
  unmount = () => root.unmount();
  return element;
}

function eventually(expectations: () => void): Promise<void> {
  return vi.waitFor(expectations, { timeout: 60_000, interval: 10 });
}

function Pages() {
  const trpc = useTRPC();
  const pages = useInfiniteQuery(
    trpc.pipelines.list.infiniteQueryOptions({ limit: 2 }, { getNextPageParam: (page) => page.nextCursor }),
  );
  return (
    <>
      {pages.data?.pages.map((page, index) => (
        <ol key={index}>
          {page.items.map(({ id, name }) => (
            <li key={id}>{name}</li>
          ))}
        </ol>
      ))}
      <button disabled={!pages.hasNextPage || pages.isFetching} onClick={() => void pages.fetchNextPage()}>
        More
      </button>
    </>
  );
}

test('an infinite query shows three pages of the list, one after the other', async () => {
  const page = render(<Pages />);
  for (const count of [2, 4, 5]) {
    await eventually(() => expect(texts(page, 'li')).toEqual(NAMES.slice(0, count)));
    find(page, 'button', 'More').click();
  }
  await eventually(() => expect(find(page, 'button', 'More').hasAttribute('disabled')).toBe(true));
  expect(page.querySelectorAll('ol')).toHaveLength(3);
});

function Creation() {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [name, setName] = useState('');
  const list = useQuery(trpc.pipelines.list.queryOptions({ limit: 100 }));
  const create = useMutation(
    trpc.pipelines.create.mutationOptions({
      onSuccess: () => queryClient.invalidateQueries({ queryKey: trpc.pipelines.list.queryKey() }),
    }),
  );
  const field = create.error?.data?.field;
  return (
    <>
      <ul>
        {list.data?.items.map((pipeline) => (
          <li key={pipeline.id}>{pipeline.name}</li>
        ))}
      </ul>
      <input aria-invalid={field === 'name'} value={name} onChange={(event) => setName(event.target.value)} />
      {field === 'name' && <p role="alert">{create.error?.message}</p>}
      <button onClick={() => create.mutate({ name, definition: 'steps: [{ name: work, run: "true" }]' })}>
        Create
      </button>
    </>
  );
}

test('a form shows an error at the field that is wrong, and what it makes is in the list', async () => {
  const page = render(<Creation />);
  await eventually(() => expect(texts(page, 'li')).toEqual(NAMES));
  find(page, 'button', 'Create').click();
  await eventually(() => expect(find(page, 'input').getAttribute('aria-invalid')).toBe('true'));
  expect(find(page, '[role=alert]').textContent).not.toBe('');

  type(find(page, 'input'), 'zeta');
  find(page, 'button', 'Create').click();
  await eventually(() => expect(texts(page, 'li')).toEqual([...NAMES, 'zeta']));
  expect(texts(page, '[role=alert]')).toEqual([]);
});

function Trigger({ pipelineId }: { pipelineId: PipelineId }) {
  const trpc = useTRPC();
  const [runId, setRunId] = useState<RunId>();
  const trigger = useMutation(
    trpc.pipelines.trigger.mutationOptions({ onSuccess: (run) => setRunId(run.id) }),
  );
  return (
    <>
      <button onClick={() => trigger.mutate({ pipelineId })}>Trigger</button>
      {runId && <Following runId={runId} />}
    </>
  );
}

function Following({ runId }: { runId: RunId }) {
  const trpc = useTRPC();
  const [lines, setLines] = useState<string[]>([]);
  const [status, setStatus] = useState('');
  const logs = useSubscription(
    trpc.pipelines.streamLogs.subscriptionOptions(
      { runId },
      {
        onData: (log) => {
          if (log.stream === 'stdout') setLines((before) => [...before, log.message]);
        },
      },
    ),
  );
  useSubscription(
    trpc.pipelines.watchRun.subscriptionOptions({ runId }, { onData: (state) => setStatus(state.status) }),
  );
  return (
    <>
      <output>{`${status}, ${logs.status}`}</output>
      <pre>{lines.join('\n')}</pre>
    </>
  );
}

test('subscriptions show the log and the state of a run, to the end', async () => {
  const { items } = await slipway.client.pipelines.list.query({ search: 'alpha' });
  const [pipeline] = items;
  if (pipeline === undefined) throw new Error('the pipeline is not there');
  const page = render(<Trigger pipelineId={pipeline.id} />);
  await eventually(() => find(page, 'button', 'Trigger').click());
  await eventually(() => expect(find(page, 'output').textContent).toBe('succeeded, idle'));
  const lines = Array.from({ length: 20 }, (_, index) => String(index + 1));
  expect(find(page, 'pre').textContent).toBe(lines.join('\n'));
});
