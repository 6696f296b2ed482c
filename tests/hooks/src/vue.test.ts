// TanStack Vue Query over `createClient` as it is, drawn by Vue, with a real server. There is no package of
// tRPC's for Vue, and none is needed: a procedure is a function that `queryFn` calls.

import { find, stage, texts, type } from './dom.js';

import {
  isClientError,
  createClient,
  type Client,
  type CreatePipelineInput,
  type Pipeline,
  type Run,
} from '@slipway/client';
import { useInfiniteQuery, useMutation, useQuery, useQueryClient, VueQueryPlugin } from '@tanstack/vue-query';
import { computed, createApp, defineComponent, h, onUnmounted, ref, type App } from 'vue';
import { afterAll, afterEach, beforeAll, expect, expectTypeOf, test, vi } from 'vitest';
import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';

const NAMES = ['alpha', 'beta', 'delta', 'epsilon', 'gamma'];

let slipway: Installation;
let client: Client;
let app: App | undefined;

beforeAll(async () => {
  slipway = await Installation.start();
  client = createClient({ url: slipway.url, token: slipway.adminToken });
  for (const name of NAMES) await client.pipelines.create.mutate({ name, definition: script('seq 1 20') });
});
afterEach(() => app?.unmount());
afterAll(async () => await slipway?.stop());

function render(component: ReturnType<typeof defineComponent>): HTMLElement {
  const element = stage();
  app = createApp(component);
  app.use(VueQueryPlugin, { queryClientConfig: { defaultOptions: { queries: { retry: false } } } });
  app.mount(element);
  return element;
}

function eventually(expectations: () => void): Promise<void> {
  return vi.waitFor(expectations, { timeout: 60_000, interval: 10 });
}

const listed = (pipelines: Pipeline[] | undefined) =>
  pipelines?.map(({ id, name }) => h('li', { key: id }, name));

const Pages = defineComponent(() => {
  const { data, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ['pipelines', 'pages'],
    queryFn: ({ pageParam }) => client.pipelines.list.query({ limit: 2, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
  });
  return () => [
    listed(data.value?.pages.flatMap((page) => page.items)),
    h('button', { disabled: !hasNextPage.value, onClick: () => fetchNextPage() }, 'More'),
  ];
});

test('an infinite query shows three pages of the list, one after the other', async () => {
  const page = render(Pages);
  for (const count of [2, 4, 5]) {
    await eventually(() => expect(texts(page, 'li')).toEqual(NAMES.slice(0, count)));
    find(page, 'button', 'More').click();
  }
  await eventually(() => expect(find(page, 'button', 'More').hasAttribute('disabled')).toBe(true));
});

const Creation = defineComponent(() => {
  const queryClient = useQueryClient();
  const name = ref('');
  const list = useQuery({
    queryKey: ['pipelines'],
    queryFn: () => client.pipelines.list.query({ limit: 100 }),
  });
  const create = useMutation({
    mutationFn: (input: CreatePipelineInput) => client.pipelines.create.mutate(input),
    onSuccess: (pipeline) => {
      expectTypeOf(pipeline).toExtend<Pipeline>();
      return queryClient.invalidateQueries({ queryKey: ['pipelines'] });
    },
  });
  const error = computed(() => (isClientError(create.error.value) ? create.error.value : undefined));
  return () => [
    listed(list.data.value?.items),
    h('input', {
      value: name.value,
      onInput: (event: Event) => (name.value = (event.target as HTMLInputElement).value),
    }),
    error.value?.data?.field === 'name' && h('p', { role: 'alert' }, error.value.message),
    h('button', { onClick: () => create.mutate({ name: name.value, definition: script('true') }) }, 'Create'),
  ];
});

test('a form shows an error at the field that is wrong, and what it makes is in the list', async () => {
  const page = render(Creation);
  await eventually(() => expect(texts(page, 'li')).toEqual(NAMES));
  find(page, 'button', 'Create').click();
  await eventually(() => expect(find(page, '[role=alert]').textContent).not.toBe(''));
  type(find(page, 'input'), 'zeta');
  find(page, 'button', 'Create').click();
  await eventually(() => expect(texts(page, 'li')).toEqual([...NAMES, 'zeta']));
});

const Following = defineComponent({
  props: { run: { type: Object as () => Run, required: true } },
  setup({ run }) {
    const lines = ref<string[]>([]);
    const status = ref(run.status);
    const subscriptions = [
      client.pipelines.streamLogs.subscribe(
        { runId: run.id },
        { onData: (log) => log.stream === 'stdout' && lines.value.push(log.message) },
      ),
      client.pipelines.watchRun.subscribe(
        { runId: run.id },
        { onData: (state) => (status.value = state.status) },
      ),
    ];
    onUnmounted(() => subscriptions.forEach((subscription) => subscription.unsubscribe()));
    return () => [h('output', status.value), h('pre', lines.value.join('\n'))];
  },
});

test('subscriptions show the log and the state of a run, to the end', async () => {
  const run = await client.pipelines.trigger.mutate({ pipelineId: 'alpha' });
  const page = render(defineComponent(() => () => h(Following, { run })));
  const lines = Array.from({ length: 20 }, (_, index) => String(index + 1)).join('\n');
  await eventually(() => {
    expect(find(page, 'output').textContent).toBe('succeeded');
    expect(find(page, 'pre').textContent).toBe(lines);
  });
});
