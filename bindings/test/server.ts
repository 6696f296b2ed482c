// A server whose answers each test writes by hand, connection by connection.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export interface Seen {
  url: string;
  lastEventId: string | undefined;
  authorization: string | undefined;
}

export class FakeServer {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answers: Answer[]) {
    this.#server = createServer((request, response) => {
      const { headers } = request;
      const lastEventId = headers['last-event-id'];
      this.seen.push({
        url: request.url ?? '',
        lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
        authorization: headers.authorization,
      });
      const answer = answers[Math.min(this.seen.length, answers.length) - 1];
      answer?.(response, request);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** The answers are given in turn; the last one again and again. */
  static async start(...answers: Answer[]): Promise<FakeServer> {
    const server = new FakeServer(answers);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Begins a stream; the retry keeps the tests fast. */
export function begin(response: ServerResponse, connected = '{}'): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`retry: 1\n\nevent: connected\ndata: ${connected}\n\n`);
  return response;
}

export function line(n: number, epoch = 1): string {
  return `data: ${JSON.stringify({ id: `${epoch}-${n}`, n, message: `line ${n}` })}\nid: ${epoch}-${n}\n\n`;
}

export const RETURN = 'event: return\ndata:\n\n';

export function failure(code: number, key: string): string {
  const error = { message: key, code, data: { code: key, httpStatus: 500, path: 'pipelines.streamLogs' } };
  return `event: serialized-error\ndata: ${JSON.stringify(error)}\n\n`;
}

export function json(status: number, body: unknown): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
}
