// Tabs and their worker, over real message channels; the worker's side and the tabs' run in this one process.

import type { ServerResponse } from 'node:http';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Notice } from '../src/cursor.js';
import { Hub, type FromTab, type Port } from '../src/hub.js';
import { LivePool } from '../src/live.js';
import { SharedPool, type Worker } from '../src/shared.js';
import { eventually } from './eventually.js';
import { answering, CONNECTED, numbers, of, unreliable } from './live-server.js';
import { begin, FakeServer, failure, line, RETURN, type Answer } from './server.js';

let server: FakeServer;
let hub: Hub;
const ports: MessagePort[] = [];
const pools: SharedPool[] = [];

/** Locks as a browser has them: whoever asks waits until the one before gives it back. */
class Locks {
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly asked: string[] = [];

  request = ((name: string, use: () => unknown): Promise<unknown> => {
    this.asked.push(name);
    const turn = (this.#queues.get(name) ?? Promise.resolve()).then(use);
    this.#queues.set(name, turn);
    return turn;
  }) as LockManager['request'];
}

let locks: Locks;

beforeEach(() => {
  locks = new Locks();
  hub = new Hub(undefined, locks);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) pool.leave();
  for (const port of ports.splice(0)) port.close();
  await server.stop();
});

/** What `new SharedWorker` does: a channel to the one worker. */
function connect(): Worker {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  hub.connect(port2 as unknown as Port);
  return { port: port1, onerror: null } as unknown as Worker;
}

function tab(makeWorker: (url: string) => Worker = connect): SharedPool {
  const pool = new SharedPool(`${server.url}/trpc`, makeWorker, locks);
  pools.push(pool);
  return pool;
}

interface Told {
  ids: string[];
  types: Notice['type'][];
  last?: Notice;
  close: () => void;
}

function open(pool: SharedPool, runId = 'a'): Told {
  const told: Told = { ids: [], types: [], close: () => {} };
  told.close = pool.open({ path: 'pipelines.streamLogs', input: { runId } }, (notice) => {
    told.last = notice;
    told.types.push(notice.type);
    if (notice.type === 'item') told.ids.push(notice.id);
  }).close;
  return told;
}

/** Keeps a stream open that gives everyone these lines; counts the streams that are open. */
function steady(open: Set<unknown>, ...lines: string[]): Answer {
  return answering((response, keys) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    begin(response);
    for (const { key } of keys) response.write(of(key, CONNECTED, ...lines));
  });
}

const numbersUpTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const numbersOf = ({ ids }: Told) => ids.map((id) => Number(id.split('-')[1]));

describe('tabs that share a worker', () => {
  test('share one connection, which ends with the last of them', async () => {
    const streams = new Set();
    server = await FakeServer.start(steady(streams, line(1)));
    const tabs = Array.from({ length: 10 }, () => tab());
    const told = tabs.map((each) => [open(each), open(each, 'b')]).flat();
    await eventually(() => {
      for (const each of told) expect(each.ids).toEqual(['1-1']);
      expect(streams.size).toBe(1);
    });
    for (const each of tabs.slice(1)) each.leave();
    await eventually(() => expect(streams.size).toBe(1));
    tabs[0]?.leave();
    await eventually(() => expect(streams.size).toBe(0));
  });

  test('each is given every line once and in order, over a bad network', async () => {
    server = await FakeServer.start(unreliable(200, numbers(7)));
    const tabs = Array.from({ length: 6 }, () => tab());
    const told = tabs.map((each) => open(each));
    // One comes and goes, as a page that is kept to go back to.
    let rounds = 0;
    const restless = setInterval(() => {
      rounds += 1;
      if (rounds > 20) return;
      tabs[0]?.leave();
      tabs[0]?.wake();
    }, 40);
    try {
      await eventually(() => {
        for (const each of told) expect(each.last?.type).toBe('ended');
      });
    } finally {
      clearInterval(restless);
    }
    for (const each of told) expect(numbersOf(each)).toEqual(numbersUpTo(200));
  });

  test('one that nobody looks at takes nothing, and goes on where it was', async () => {
    let printed = 1;
    /** What each open stream carries: of each subscription the last line that it was given. */
    const streams = new Map<ServerResponse, Map<string, number>>();
    const tell = (response: ServerResponse, carried: Map<string, number>) => {
      for (const [key, last] of carried) {
        for (let n = last + 1; n <= printed; n += 1) response.write(of(key, CONNECTED, line(n)));
        carried.set(key, printed);
      }
    };
    server = await FakeServer.start(
      answering((response, keys) => {
        const carried = new Map(keys.map(({ key, lastEventId }) => [key, Number(lastEventId?.split('-')[1] ?? 0)]));
        streams.set(response, carried);
        response.on('close', () => streams.delete(response));
        tell(begin(response), carried);
      }),
    );
    const print = () => {
      printed += 1;
      for (const [response, carried] of streams) tell(response, carried);
    };
    const carried = () => [...streams.values()].map(({ size }) => size);
    const [hidden, seen] = [tab(), tab()];
    const [quiet, live] = [open(hidden), open(seen)];
    await eventually(() => expect([quiet, live].map(numbersOf)).toEqual([[1], [1]]));
    hidden.pause();
    // What is opened behind somebody's back waits too.
    const late = open(hidden, 'b');
    await eventually(() => expect(carried()).toEqual([1]));
    print();
    await eventually(() => expect(numbersOf(live)).toEqual([1, 2]));
    expect([quiet, late].map(numbersOf)).toEqual([[1], []]);
    seen.pause();
    await eventually(() => expect(carried()).toEqual([]));
    print();
    hidden.resume();
    seen.resume();
    await eventually(() => expect([quiet, live, late].map(numbersOf)).toEqual(Array.from({ length: 3 }, () => [1, 2, 3])));
  });

  test('a session that has ended is told to every tab', async () => {
    let isSignedOut = false;
    server = await FakeServer.start(
      answering((response, keys) => {
        begin(response);
        for (const { key } of keys) {
          response.write(of(key, isSignedOut ? failure(-32001, 'UNAUTHORIZED') : CONNECTED));
        }
      }),
    );
    const tabs = [tab(), tab(), tab()];
    const told = tabs.map((each) => open(each));
    await eventually(() => {
      for (const each of told) expect(each.last?.type).toBe('started');
    });
    isSignedOut = true;
    tabs[1]?.recheck();
    await eventually(() => {
      for (const { last } of told) {
        expect(last).toMatchObject({
          type: 'failed',
          failure: { shape: { data: { code: 'UNAUTHORIZED' } } },
        });
      }
    });
  });

  test('a tab that does not read does not hold up the others, and loses nothing', async () => {
    const LINES = 30_000;
    const text = numbersUpTo(LINES).map((n) => line(n));
    server = await FakeServer.start(
      answering((response, keys) => {
        begin(response);
        for (const { key, lastEventId } of keys) {
          const seen = Number(lastEventId?.split('-')[1] ?? 0);
          response.write(of(key, CONNECTED, ...text.slice(seen), RETURN));
        }
      }),
    );
    // Its messages wait, as in a tab whose page is busy.
    const held: (() => void)[] = [];
    let isBusy = true;
    let heldNotices = 0;
    const slow = tab((): Worker => {
      const worker = connect();
      const port = {
        postMessage: (message: FromTab) => worker.port.postMessage(message),
        close: () => worker.port.close(),
        onmessage: null as Worker['port']['onmessage'],
      };
      worker.port.onmessage = (event) => {
        if (event.data.type === 'notices') heldNotices += event.data.notices.length;
        if (isBusy) held.push(() => port.onmessage?.(event));
        else port.onmessage?.(event);
      };
      return { port, onerror: null };
    });
    const [slowly, quickly] = [open(slow), open(tab())];
    await eventually(() => expect(quickly.last?.type).toBe('ended'));
    expect(numbersOf(quickly)).toEqual(numbersUpTo(LINES));
    expect(slowly.ids).toEqual([]);
    expect(heldNotices).toBeLessThanOrEqual(2000);
    isBusy = false;
    for (const hand of held) hand();
    await eventually(() => expect(slowly.last?.type).toBe('ended'));
    expect(numbersOf(slowly)).toEqual(numbersUpTo(LINES));
  });

  test('a tab holds its lock before it names it, and is dropped when it gives it back', async () => {
    const streams = new Set();
    server = await FakeServer.start(steady(streams, line(1)));
    const pool = tab();
    const told = open(pool);
    await eventually(() => expect(told.ids).toEqual(['1-1']));
    // Asked for by the page, then by the worker, which waits.
    await eventually(() => expect(locks.asked).toHaveLength(2));
    expect(new Set(locks.asked).size).toBe(1);
    expect(streams.size).toBe(1);
  });
});

describe('a tab that says nothing', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is asked whether it is there, given up in the end, and told so when it comes back', async () => {
    server = await FakeServer.start();
    const open = new Set<string>();
    const pool = {
      open: ({ path }: { path: string }) => {
        open.add(path);
        return { close: () => void open.delete(path), pause: () => {}, resume: () => {} };
      },
      wake: () => {},
      recheck: () => {},
    };
    const lonely = new Hub(() => pool);
    const enter = (path: string, answers: boolean) => {
      const told: string[] = [];
      const port: Port = { postMessage: () => {}, onmessage: null, close: () => {} };
      lonely.connect(port);
      const say = (data: FromTab) => port.onmessage?.({ data });
      port.postMessage = ({ type }) => {
        told.push(type);
        if (answers && type === 'ping') say({ type: 'pong' });
      };
      say({ type: 'hello', url: 'http://127.0.0.1/trpc' });
      say({ type: 'open', id: 1, path, input: null, lastEventId: '' });
      return { told, say };
    };
    const there = enter('of the one that is there', true);
    const gone = enter('of the one that is gone', false);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect([...open]).toEqual(['of the one that is there']);
    expect(gone.told.filter((type) => type === 'ping').length).toBeLessThan(10);
    gone.say({ type: 'wake' });
    expect(gone.told.at(-1)).toBe('stranger');
    there.say({ type: 'wake' });
    expect(there.told).not.toContain('stranger');
    there.say({ type: 'bye' });
    expect([...open]).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a tab', () => {
  test('begins anew where it was, when the worker no longer knows it', async () => {
    const streams = new Set();
    server = await FakeServer.start(
      answering((response, keys) => {
        streams.add(response);
        begin(response);
        for (const { key, lastEventId } of keys) {
          response.write(of(key, CONNECTED, line(Number(lastEventId?.split('-')[1] ?? 0) + 1)));
        }
      }),
    );
    const pool = tab();
    const told = open(pool);
    await eventually(() => expect(told.ids).toEqual(['1-1']));
    // Another worker, which has never seen this tab: as after a crash.
    hub = new Hub();
    pool.leave();
    pool.wake();
    await eventually(() => expect(told.ids).toEqual(['1-1', '1-2']));
  });

  test.each([
    [
      'is refused',
      () => {
        throw new Error('refused by a policy');
      },
    ],
    [
      'does not load',
      (): Worker => {
        const worker: Worker = {
          port: { postMessage: () => {}, onmessage: null, close: () => {} },
          onerror: null,
        };
        setTimeout(() => worker.onerror?.());
        return worker;
      },
    ],
  ])('does by itself when the worker %s', async (_, makeWorker) => {
    const streams = new Set();
    server = await FakeServer.start(steady(streams, line(1)));
    const pool = tab(makeWorker);
    const [a, b] = [open(pool), open(pool, 'b')];
    await eventually(() => expect([a.ids, b.ids]).toEqual([['1-1'], ['1-1']]));
    expect(streams.size).toBe(1);
    a.close();
    b.close();
    await eventually(() => expect(streams.size).toBe(0));
  });
});

test('a pool of another process has no tabs to share with', async () => {
  server = await FakeServer.start(steady(new Set(), line(1)));
  const { poolFor } = await import('../src/page.js');
  expect(poolFor({ url: server.url })).toBeInstanceOf(LivePool);
});
