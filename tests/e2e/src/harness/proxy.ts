import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP proxy that cuts every connection after a while, in the middle of whatever is being sent. */
export class CuttingProxy {
  cuts = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(port: number, cutAfterMs: number): Promise<CuttingProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new CuttingProxy(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('connection', (client) => proxy.relay(client, connect(port, '127.0.0.1'), cutAfterMs));
    return proxy;
  }

  private relay(client: Socket, upstream: Socket, cutAfterMs: number): void {
    const timer = setTimeout(() => {
      this.cuts += 1;
      client.resetAndDestroy();
      upstream.destroy();
    }, cutAfterMs);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(socket);
      // What was cut is an error on the other side; the next connection starts anew.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        clearTimeout(timer);
        this.sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** A TCP proxy that keeps its own side of a connection whose client has left, and goes on reading from it. */
export class ForgetfulProxy {
  private readonly upstreams = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async start(port: number): Promise<ForgetfulProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new ForgetfulProxy(server, (server.address() as AddressInfo).port);
    server.on('connection', (client) => proxy.relay(client, connect(port, '127.0.0.1')));
    return proxy;
  }

  private relay(client: Socket, upstream: Socket): void {
    this.upstreams.add(upstream);
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (!client.destroyed) client.write(chunk);
    });
    // That the client has gone is exactly what is not passed on.
    client.on('error', () => undefined);
    upstream.on('error', () => undefined);
    upstream.on('close', () => {
      this.upstreams.delete(upstream);
      client.destroy();
    });
  }

  async stop(): Promise<void> {
    for (const upstream of this.upstreams) upstream.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}
