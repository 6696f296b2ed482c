import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Stands between browser and server, and knows which streams are open. It keeps no connection to the server.
 */
export class CountingProxy {
  /** The paths of the streams that are open, as they were opened. */
  readonly streams: string[] = [];
  /** What it answers by itself, by path; undefined: that there is nothing. */
  readonly answers = new Map<string, { type: string; body: string } | undefined>();
  /** All that were opened. */
  opened = 0;
  readonly #server = createServer((request, response) => this.#relay(request, response));
  /** What waits in vain while the network is cut. */
  #held: ServerResponse[] | undefined;

  private constructor(private readonly target: number) {}

  static async start(target: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** As a network that is gone: every connection breaks, and nothing answers on new ones. */
  cut(): void {
    this.#held = [];
    this.#server.closeAllConnections();
  }

  /** The network is back. What was begun in between is lost with its connections. */
  heal(): void {
    for (const response of this.#held ?? []) response.destroy();
    this.#held = undefined;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(request: IncomingMessage, response: ServerResponse): void {
    if (this.#held !== undefined) {
      this.#held.push(response);
      return;
    }
    const { method, headers, url: path = '' } = request;
    if (this.answers.has(path)) {
      const answer = this.answers.get(path);
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': answer?.type ?? 'text/plain' });
      response.end(answer?.body);
      return;
    }
    const upstream = forward({ port: this.target, host: '127.0.0.1', method, headers, path, agent: false });
    upstream.on('response', (answer) => {
      if (answer.headers['content-type']?.startsWith('text/event-stream')) this.#count(path, response);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    // The server is away: so is the proxy, as far as the browser can tell.
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  }

  #count(path: string, response: ServerResponse): void {
    this.opened += 1;
    this.streams.push(path);
    response.on('close', () => this.streams.splice(this.streams.indexOf(path), 1));
  }
}
