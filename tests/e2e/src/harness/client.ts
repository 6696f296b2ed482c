import { createClient, type AppRouter, type LogLine, type RunState } from '@slipway/client';
import {
  createTRPCClient,
  httpBatchLink,
  httpSubscriptionLink,
  splitLink,
  TRPCClientError,
} from '@trpc/client';
import { EventSource } from 'eventsource';

/** The client that the bindings offer. */
export function connect(url: string, token: string) {
  return createClient({ url, token });
}

export type Client = ReturnType<typeof connect>;

/** A client as people write it who know tRPC and nothing of Slipway's `createClient`. */
export function connectPlainly(url: string, token: string) {
  const headers = { authorization: `Bearer ${token}` };
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (op) => op.type === 'subscription',
        true: httpSubscriptionLink({
          url: `${url}/trpc`,
          EventSource,
          eventSourceOptions: {
            fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
          },
        }),
        false: httpBatchLink({ url: `${url}/trpc`, headers }),
      }),
    ],
  });
}

type PlainClient = ReturnType<typeof connectPlainly>;
export type { LogLine as Line, Run, RunState as State } from '@slipway/client';

/** A subscription that is being collected. */
export interface Following<T> {
  /** All that came so far. */
  items: T[];
  /** Resolves when the server has said that it is over, rejects with a typed error. */
  done: Promise<T[]>;
  stop: () => void;
}

export function following<T>(
  subscribe: (handlers: {
    onData: (item: T) => void;
    onComplete: () => void;
    onError: (error: unknown) => void;
  }) => { unsubscribe: () => void },
): Following<T> {
  const items: T[] = [];
  let stop = () => {};
  const done = new Promise<T[]>((resolve, reject) => {
    const onData = (item: T) => {
      items.push(item);
    };
    const subscription = subscribe({ onData, onComplete: () => resolve(items), onError: reject });
    stop = () => subscription.unsubscribe();
  });
  // Whoever awaits it is told; a test that stopped early does not.
  done.catch(() => undefined);
  return { items, done, stop };
}

/** The lines of a run, from after line `after`. */
export function followLog(client: Client, runId: string, after?: number): Following<LogLine> {
  const input = after === undefined ? { runId } : { runId, after };
  return following<LogLine>((handlers) => client.pipelines.streamLogs.subscribe(input, handlers));
}

/** The same by a plain tRPC client, which is given `{ id, data }`. */
export function followLogPlainly(client: PlainClient, runId: string): Following<LogLine> {
  return following<LogLine>(({ onData, ...handlers }) =>
    client.pipelines.streamLogs.subscribe({ runId }, { ...handlers, onData: (item) => onData(item.data) }),
  );
}

export function watch(client: Client, runId: string): Following<RunState> {
  return following<RunState>((handlers) => client.pipelines.watchRun.subscribe({ runId }, handlers));
}

/** The last state of a run, once no attempt follows any more. */
export async function outcome(client: Client, runId: string): Promise<RunState> {
  const states = await watch(client, runId).done;
  const last = states.at(-1);
  if (last === undefined) throw new Error(`watchRun of ${runId} said nothing`);
  return last;
}

/** What the step itself printed, Slipway's own words left out, and lines that came in parts put together. */
export function printed(lines: LogLine[], stream: 'stdout' | 'stderr' = 'stdout'): string[] {
  const whole: string[] = [];
  const lastOf = new Map<string | null, number>();
  for (const line of lines) {
    if (line.stream !== stream) continue;
    const before = lastOf.get(line.step);
    if (line.continued && before !== undefined) {
      whole[before] = (whole[before] ?? '') + line.message;
    } else {
      lastOf.set(line.step, whole.push(line.message) - 1);
    }
  }
  return whole;
}

/** Lines to be compared: an id may change its epoch when the log is read again, and `gapsIn` looks at the rest. */
export function contents(lines: LogLine[]): Omit<LogLine, 'id'>[] {
  return lines.map(({ id: _, ...line }) => line);
}

/** Whether nothing is missing and nothing came twice; `first` is the number that the first line must have. */
export function gapsIn(lines: LogLine[], first = 1): string[] {
  const gaps: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.n !== first + index) gaps.push(`line ${index} is number ${line.n}, not ${first + index}`);
    if (Number(line.id.split('-')[1]) !== line.n) gaps.push(`line ${line.n} has the id ${line.id}`);
    if (gaps.length >= 10) break;
  }
  return gaps;
}

/** The typed error that a call ends with; throws if it succeeds. */
export async function failure(
  call: Promise<unknown>,
): Promise<{ code: string; status: number; message: string; data: Record<string, unknown> }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof TRPCClientError)) throw error;
    const data = (error.data ?? {}) as Record<string, unknown>;
    return { code: String(data['code']), status: Number(data['httpStatus']), message: error.message, data };
  }
  throw new Error('the call succeeded');
}
