import { once } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createClient, type ClientError, type StreamLogsInput } from '@slipway/client';
import { eventually } from './eventually.js';
import { begin, failure, FakeServer, json, line, RETURN, type Answer } from './server.js';

let server: FakeServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

interface Outcome {
  messages: string[];
  calls: string[];
  error: ClientError | undefined;
}

/** Streams until the subscription ends by itself. */
async function stream(answers: Answer[], input: StreamLogsInput = { runId: 'r' }): Promise<Outcome> {
  server = await FakeServer.start(...answers);
  const trpc = createClient({ url: server.url, token: () => Promise.resolve('secret') });
  const outcome: Outcome = { messages: [], calls: [], error: undefined };
  await new Promise<void>((resolve) => {
    trpc.pipelines.streamLogs.subscribe(input, {
      onStarted: () => outcome.calls.push('started'),
      onData: (log) => outcome.messages.push(log.message),
      onConnectionStateChange: ({ state }) => outcome.calls.push(state),
      onStopped: () => outcome.calls.push('stopped'),
      onComplete: () => {
        outcome.calls.push('complete');
        resolve();
      },
      onError: (error) => {
        outcome.error = error;
        resolve();
      },
    });
  });
  return outcome;
}

describe('a subscription', () => {
  test('hands on plain items, and ends when the server says so', async () => {
    const outcome = await stream([
      (response) => {
        begin(response);
        response.end(line(1) + line(2) + RETURN);
      },
    ]);
    expect(outcome.messages).toEqual(['line 1', 'line 2']);
    expect(outcome.calls).toEqual(['connecting', 'started', 'pending', 'stopped', 'idle', 'complete']);
    expect(server?.seen).toEqual([
      {
        url: `/trpc/pipelines.streamLogs?input=${encodeURIComponent('{"runId":"r"}')}`,
        lastEventId: undefined,
        authorization: 'Bearer secret',
      },
    ]);
  });

  test('goes on after a cut, wherever it comes, and hands on each line once', async () => {
    const text = line(1) + line(2) + line(3);
    for (const at of [0, 1, line(1).length - 1, line(1).length, text.length - 2]) {
      const outcome = await stream([
        (response) => {
          begin(response);
          response.write(text.slice(0, at), () => response.destroy());
        },
        // Begins again with all lines: what was handed on is dropped, also under a later epoch.
        (response) => {
          begin(response);
          response.end(line(1, 2) + line(2, 2) + line(3, 2) + line(4, 2) + RETURN);
        },
      ]);
      expect(outcome.messages, `cut at ${at}`).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
      expect(server?.seen).toHaveLength(2);
      await server?.stop();
    }
  });

  test('sends the id of the last line that it handed on', async () => {
    await stream([
      (response) => {
        begin(response);
        response.end(line(1) + line(2));
      },
      (response) => {
        begin(response);
        response.end(line(3) + RETURN);
      },
    ]);
    expect(server?.seen.map(({ lastEventId }) => lastEventId)).toEqual([undefined, '1-2']);
  });

  test('comes back after what passes: an overloaded server, a proxy without one, a stream that breaks off', async () => {
    const outcome = await stream([
      (response) => {
        begin(response);
        response.end(failure(-32603, 'SERVICE_UNAVAILABLE'));
      },
      (response) => {
        response.writeHead(502, { 'content-type': 'text/html' });
        response.end('<h1>Bad gateway</h1>');
      },
      (response) => response.destroy(),
      (response) => {
        begin(response);
        response.end(line(1) + RETURN);
      },
    ]);
    expect(outcome.messages).toEqual(['line 1']);
    expect(outcome.error).toBeUndefined();
    expect(server?.seen).toHaveLength(4);
  });

  test('ends with an error that does not pass', async () => {
    const outcome = await stream([
      (response) => {
        begin(response);
        response.end(failure(-32004, 'NOT_FOUND'));
      },
    ]);
    expect(outcome.error?.data?.code).toBe('NOT_FOUND');
    expect(outcome.calls).not.toContain('complete');
    expect(server?.seen).toHaveLength(1);
  });

  test.each([
    [400, 'BAD_REQUEST', -32600],
    [401, 'UNAUTHORIZED', -32001],
    [403, 'FORBIDDEN', -32003],
    [404, 'NOT_FOUND', -32004],
  ])('ends with a typed error on status %i', async (status, code, number) => {
    const data = { code, httpStatus: status, path: 'pipelines.streamLogs', field: 'runId' };
    const typed = await stream([json(status, { error: { message: 'said so', code: number, data } })]);
    expect(typed.error?.message).toBe('said so');
    expect(typed.error?.data).toEqual(data);
    await server?.stop();

    const bare = await stream([
      (response) => {
        response.writeHead(status);
        response.end('from a proxy');
      },
    ]);
    expect(bare.error?.data).toEqual({ code, httpStatus: status });
    expect(bare.error?.shape?.code).toBe(number);
  });

  test('ends with an error when a page comes in place of a stream', async () => {
    const outcome = await stream([
      (response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end('<h1>Sign in</h1>');
      },
    ]);
    expect(outcome.error?.message).toContain('text/html');
  });

  test('comes back when the server falls silent, and pings count as life', async () => {
    const outcome = await stream([
      (response) => begin(response, '{"reconnectAfterInactivityMs":40}'),
      (response) => {
        begin(response, '{"reconnectAfterInactivityMs":2000}');
        response.write('event: ping\ndata:\n\n');
        response.end(line(1) + RETURN);
      },
    ]);
    expect(outcome.messages).toEqual(['line 1']);
    expect(server?.seen).toHaveLength(2);
    expect(outcome.calls.filter((call) => call === 'connecting')).toHaveLength(2);
  });

  test('frees its connection when it is unsubscribed, and hands on nothing more', async () => {
    const closed = vi.fn();
    const open: Answer = (response, request) => {
      request.socket.on('close', closed);
      begin(response);
      response.write(line(1));
    };
    server = await FakeServer.start(open);
    const trpc = createClient({ url: server.url });
    const messages: string[] = [];
    await new Promise<void>((resolve) => {
      const subscription = trpc.pipelines.streamLogs.subscribe(
        { runId: 'r' },
        {
          onData: (log) => {
            messages.push(log.message);
            subscription.unsubscribe();
            resolve();
          },
        },
      );
    });
    await eventually(() => expect(closed).toHaveBeenCalled());
    expect(messages).toEqual(['line 1']);
    expect(server.seen).toHaveLength(1);
  });

  test('ends when its signal is given, also between two connections', async () => {
    const abort = new AbortController();
    server = await FakeServer.start((response) => {
      response.destroy();
      abort.abort();
    });
    const trpc = createClient({ url: server.url });
    await new Promise<void>((resolve) => {
      trpc.pipelines.streamLogs.subscribe({ runId: 'r' }, { signal: abort.signal, onComplete: () => resolve() });
    });
    expect(server.seen).toHaveLength(1);
  });

  test('can be read with for await', async () => {
    server = await FakeServer.start((response) => {
      begin(response);
      response.end(line(1) + line(2) + RETURN);
    });
    const trpc = createClient({ url: server.url });
    const messages: string[] = [];
    for await (const log of trpc.pipelines.streamLogs.subscribe({ runId: 'r' })) messages.push(log.message);
    expect(messages).toEqual(['line 1', 'line 2']);
  });

  test('leaves the process free to exit once it is unsubscribed', async () => {
    const { spawn } = await import('node:child_process');
    server = await FakeServer.start((response) => {
      begin(response);
      response.write(line(1));
    });
    const script = `
      import { createClient } from '@slipway/client';
      const trpc = createClient({ url: '${server.url}' });
      const subscription = trpc.pipelines.streamLogs.subscribe(
        { runId: 'r' },
        { onData: (log) => { console.log(log.message); subscription.unsubscribe(); } },
      );
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname });
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    expect(printed).toBe('line 1\n');
  });
});

describe('queries and mutations', () => {
  test('go to the server in one request, with the token', async () => {
    server = await FakeServer.start(
      json(200, [{ result: { data: { id: 'a' } } }, { result: { data: { id: 'b' } } }]),
    );
    const trpc = createClient({ url: `${server.url}/trpc/`, token: 'secret' });
    const [first, second] = await Promise.all([
      trpc.runs.get.query({ runId: 'a' }),
      trpc.runs.get.query({ runId: 'b' }),
    ]);
    expect([first.id, second.id]).toEqual(['a', 'b']);
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]?.url).toMatch(/^\/trpc\/runs\.get,runs\.get\?batch=1&/);
    expect(server.seen[0]?.authorization).toBe('Bearer secret');
  });

  test('a query is tried again when the connection is lost, a mutation is not', async () => {
    server = await FakeServer.start(
      (response) => response.destroy(),
      json(200, [{ result: { data: { id: 'a' } } }]),
    );
    const trpc = createClient({ url: server.url });
    expect((await trpc.runs.get.query({ runId: 'a' })).id).toBe('a');
    await server.stop();

    server = await FakeServer.start((response) => response.destroy());
    const again = createClient({ url: server.url });
    await expect(again.runs.cancel.mutate({ runId: 'a' })).rejects.toThrow();
    expect(server.seen).toHaveLength(1);
  });
});

test('the package exports at run time what its types say', async () => {
  const names: (keyof typeof import('@slipway/client'))[] = [
    'createClient',
    'isClientError',
    'liveLink',
    'subscriptionLink',
  ];
  expect(Object.keys(await import('@slipway/client')).sort()).toEqual(names);
});
