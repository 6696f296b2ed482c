import { createTRPCClient, type TRPCClient } from '@trpc/client';
import { afterEach, describe, expect, test } from 'vitest';
import { liveLink, type ClientError, type ClientRouter } from '@slipway/client';
import { LivePool } from '../src/live.js';
import { eventually } from './eventually.js';
import { answering, asked, CONNECTED, numbers, of, unreliable } from './live-server.js';
import { begin, FakeServer, failure, json, line, RETURN, type Answer } from './server.js';

let server: FakeServer;

afterEach(() => server.stop());

interface Following {
  messages: string[];
  states: string[];
  error?: ClientError;
  isComplete: boolean;
  stop: () => void;
}

async function clientOf(...answers: Answer[]): Promise<TRPCClient<ClientRouter>> {
  server = await FakeServer.start(...answers);
  return createTRPCClient<ClientRouter>({ links: [liveLink({ url: server.url })] });
}

function follow(client: TRPCClient<ClientRouter>, runId: string): Following {
  const following: Following = { messages: [], states: [], isComplete: false, stop: () => {} };
  const subscription = client.pipelines.streamLogs.subscribe(
    { runId },
    {
      onData: (log) => void following.messages.push(log.message),
      onStarted: () => void following.states.push('started'),
      onConnectionStateChange: ({ state }) => void following.states.push(state),
      onError: (error) => void (following.error = error),
      onComplete: () => void (following.isComplete = true),
    },
  );
  following.stop = () => subscription.unsubscribe();
  return following;
}

const linesUpTo = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`);

describe('many subscriptions over one stream', () => {
  test('are asked for in one request, and each is given its own', async () => {
    let wanted: unknown;
    const client = await clientOf(
      answering((response, keys) => {
        wanted = keys;
        const [a = '', b = ''] = keys.map(({ key }) => key);
        begin(response);
        response.end(
          of(a, CONNECTED, line(1)) +
            of(b, CONNECTED, line(1), line(2)) +
            of(a, line(2), RETURN) +
            of(b, RETURN),
        );
      }),
    );
    const [a, b] = [follow(client, 'a'), follow(client, 'b')];
    await eventually(() => expect([a.isComplete, b.isComplete]).toEqual([true, true]));
    expect([a.messages, b.messages]).toEqual([linesUpTo(2), linesUpTo(2)]);
    expect(a.states).toEqual(['connecting', 'started', 'pending', 'idle']);
    expect(wanted).toEqual([
      { key: 's1', path: 'pipelines.streamLogs', input: { runId: 'a' } },
      { key: 's2', path: 'pipelines.streamLogs', input: { runId: 'b' } },
    ]);
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]?.url).toBe('/trpc-live');
  });

  test('a new one has all asked for anew with their cursors, and the stream before ends then', async () => {
    const closed: number[] = [];
    const cursors: unknown[] = [];
    let count = 0;
    const client = await clientOf(
      answering((response, keys) => {
        const index = count++;
        response.on('close', () => closed.push(index));
        cursors.push(keys.map(({ key, lastEventId }) => [key, lastEventId]));
        begin(response);
        // The overlap: the second request repeats a line of the first.
        const first = index === 0 ? [line(1), line(2)] : [line(2), line(3)];
        for (const { key } of keys) response.write(of(key, CONNECTED, ...first));
      }),
    );
    const a = follow(client, 'a');
    await eventually(() => expect(a.messages).toEqual(linesUpTo(2)));
    const b = follow(client, 'b');
    await eventually(() => expect(a.messages).toEqual(linesUpTo(3)));
    await eventually(() => expect(closed).toEqual([0]));
    expect(b.messages).toEqual(['line 2', 'line 3']);
    expect(cursors).toEqual([
      [['s1', undefined]],
      [
        ['s1', '1-2'],
        ['s2', undefined],
      ],
    ]);
    // Nobody was told of a stream that only made room for another.
    expect(a.states).toEqual(['connecting', 'started', 'pending']);
    a.stop();
    b.stop();
    await eventually(() => expect(closed).toEqual([0, 1]));
    expect(server.seen).toHaveLength(2);
  });

  test('one that fails for good does not disturb the others, one that fails for now comes back', async () => {
    let count = 0;
    const client = await clientOf(
      answering((response, keys) => {
        count += 1;
        begin(response);
        for (const { key, input } of keys) {
          if (input.runId === 'wrong') response.write(of(key, failure(-32004, 'NOT_FOUND')));
          else if (input.runId === 'busy' && count === 1)
            response.write(of(key, failure(-32603, 'SERVICE_UNAVAILABLE')));
          else response.write(of(key, CONNECTED, line(1)));
        }
      }),
    );
    const [wrong, busy, well] = [follow(client, 'wrong'), follow(client, 'busy'), follow(client, 'well')];
    await eventually(() => expect(busy.messages).toEqual(['line 1']));
    expect(wrong.error?.data?.code).toBe('NOT_FOUND');
    expect(busy.states).toEqual(['connecting', 'connecting', 'started', 'pending']);
    expect(well.messages).toEqual(['line 1']);
    expect(well.states).toEqual(['connecting', 'started', 'pending']);
    busy.stop();
    well.stop();
  });

  test('a request that is refused fails what is new in it, and the stream before goes on', async () => {
    let first: { write: (text: string) => void } | undefined;
    const refused = json(413, {
      error: { message: 'too large', code: -32013, data: { code: 'PAYLOAD_TOO_LARGE', httpStatus: 413 } },
    });
    const client = await clientOf((response, request) => {
      void asked(request).then((keys) => {
        if (keys.length > 1) {
          refused(response, request);
          return;
        }
        begin(response);
        first = response;
        response.write(of('s1', CONNECTED, line(1)));
      });
    });
    const a = follow(client, 'a');
    await eventually(() => expect(a.messages).toHaveLength(1));
    const b = follow(client, 'b');
    await eventually(() => expect(b.error?.data?.code).toBe('PAYLOAD_TOO_LARGE'));
    first?.write(line(2));
    await eventually(() => expect(a.messages).toEqual(linesUpTo(2)));
    expect(a.error).toBeUndefined();
    a.stop();
  });

  test('what a subscriber throws ends its own subscription only', async () => {
    const client = await clientOf(
      answering((response, keys) => {
        begin(response);
        for (const { key } of keys) response.write(of(key, CONNECTED, line(1), line(2)));
      }),
    );
    let error: ClientError | undefined;
    client.pipelines.streamLogs.subscribe(
      { runId: 'a' },
      {
        onData: () => {
          throw new Error('a mistake of the page');
        },
        onError: (cause) => (error = cause),
      },
    );
    const b = follow(client, 'b');
    await eventually(() => expect(b.messages).toEqual(linesUpTo(2)));
    expect(error?.message).toBe('a mistake of the page');
    b.stop();
  });

  test('more than one request can carry go over another connection, and too many are refused', async () => {
    const sizes: number[] = [];
    const client = await clientOf(
      answering((response, keys) => {
        sizes.push(keys.length);
        begin(response);
      }),
    );
    const all = Array.from({ length: 301 }, (_, index) => follow(client, String(index)));
    await eventually(() => expect(sizes).toEqual([100, 100, 100]));
    expect(all[300]?.error?.message).toContain('more than 300');
    expect(all[299]?.error).toBeUndefined();
    for (const each of all) each.stop();
  });

  test('a waiting connection is tried at once when it is woken', async () => {
    server = await FakeServer.start(
      (response) => {
        begin(response).write('retry: 999999999\n\n');
        setImmediate(() => response.destroy());
      },
      answering((response, keys) => {
        begin(response);
        for (const { key } of keys) response.write(of(key, CONNECTED, line(1)));
      }),
    );
    const pool = new LivePool({ url: server.url });
    const told: string[] = [];
    let failures = 0;
    const handle = pool.open({ path: 'pipelines.streamLogs', input: { runId: 'a' } }, (notice) => {
      told.push(notice.type);
      if (notice.type === 'connecting' && notice.failure) {
        failures += 1;
        setTimeout(() => pool.wake());
      }
    });
    await eventually(() => expect(told).toEqual(['connecting', 'connecting', 'started', 'item']));
    expect(failures).toBe(1);
    handle.close();
  });

  test('one that is paused takes nothing, and goes on where it was', async () => {
    const cursors: unknown[] = [];
    const responses: { write: (text: string) => void }[] = [];
    server = await FakeServer.start(
      answering((response, keys) => {
        cursors.push(keys.map(({ key, lastEventId }) => [key, lastEventId]));
        responses.push(response);
        begin(response);
        for (const { key, lastEventId } of keys) {
          const last = Number(lastEventId?.split('-')[1] ?? 0);
          response.write(of(key, CONNECTED, line(last + 1)));
        }
      }),
    );
    const pool = new LivePool({ url: server.url });
    const [a, b]: [string[], string[]] = [[], []];
    const open = (runId: string, ids: string[]) =>
      pool.open({ path: 'pipelines.streamLogs', input: { runId } }, (notice) => {
        if (notice.type === 'item') ids.push(notice.id);
      });
    const [slow, quick] = [open('a', a), open('b', b)];
    await eventually(() => expect([a, b]).toEqual([['1-1'], ['1-1']]));
    slow.pause();
    responses[0]?.write(of('s1', line(2)) + of('s2', line(2)));
    await eventually(() => expect(b).toContain('1-2'));
    expect(a).toEqual(['1-1']);
    await eventually(() => expect(cursors.at(-1)).toEqual([['s2', expect.any(String)]]));
    slow.resume();
    await eventually(() => expect(a).toEqual(['1-1', '1-2']));
    expect(cursors.at(-1)).toEqual([
      ['s1', '1-1'],
      ['s2', expect.any(String)],
    ]);
    slow.close();
    quick.close();
  });
});

describe('over a network that cuts, refuses and repeats, while subscriptions come and go', () => {
  const LINES = 300;
  test.each([1, 2, 3, 4, 5, 6])('each is given every line once and in order (seed %i)', async (seed) => {
    const random = numbers(seed);
    const client = await clientOf(unreliable(LINES, numbers(seed + 1000)));
    const kept = Array.from({ length: 5 }, (_, index) => follow(client, `kept ${index}`));
    // Others come and go, as fast as the ones that stay are given lines.
    const left: Following[] = [];
    let passing: Following | undefined;
    const churn = setInterval(
      () => {
        passing?.stop();
        if (passing) left.push(passing);
        passing = random(3) === 0 ? undefined : follow(client, 'passing');
      },
      5 + random(20),
    );
    try {
      await eventually(() => {
        for (const each of kept) expect(each.isComplete || each.error).toBeTruthy();
      });
    } finally {
      clearInterval(churn);
      passing?.stop();
    }
    for (const each of kept) {
      expect(each.error).toBeUndefined();
      expect(each.messages).toEqual(linesUpTo(LINES));
    }
    for (const each of left) expect(each.messages).toEqual(linesUpTo(each.messages.length));
  });
});
