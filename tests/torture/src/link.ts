import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What may lie in a link, in each direction of a connection, before its sender has to wait. */
const QUEUE_BYTES_MAX = 1024 * 1024;
const CONNECT_MS_MAX = 1_000;

/**
 * A TCP link between two parts, with all the faults of one. Of several ports behind it, a new connection goes to
 * the next that accepts.
 */
export class Link {
  private readonly sockets = new Set<Socket>();
  private isRefusing = false;
  private isSwallowing = false;
  private delayMs = 0;
  /** Resolves when nothing is swallowed any more. */
  private healed = Promise.resolve();
  private heal = () => {};
  private turn = 0;

  private constructor(
    readonly name: string,
    private server: Server,
    readonly port: number,
    private readonly upstreams: readonly number[],
  ) {
    this.serve(server);
  }

  static async start(name: string, ...upstreams: number[]): Promise<Link> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Link(name, server, (server.address() as AddressInfo).port, upstreams);
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** Cuts every connection, and takes no new one. */
  refuse(): void {
    this.isRefusing = true;
    this.server.close();
    this.cut();
  }

  /** Accepts connections, and passes nothing on, either way. */
  swallow(): void {
    this.isSwallowing = true;
    this.healed = new Promise((resolve) => (this.heal = resolve));
  }

  delay(ms: number): void {
    this.delayMs = ms;
  }

  /** What was swallowed arrives now, as after a partition. */
  async mend(): Promise<void> {
    this.delayMs = 0;
    this.isSwallowing = false;
    this.heal();
    if (!this.isRefusing) return;
    this.isRefusing = false;
    const server = createServer();
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.server = server;
    this.serve(server);
  }

  stop(): void {
    this.heal();
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private serve(server: Server): void {
    server.on('connection', (client) => void this.relay(client));
  }

  private async relay(client: Socket): Promise<void> {
    this.keep(client);
    const upstream = await this.reach();
    if (upstream === undefined || client.destroyed || this.isRefusing) {
      client.resetAndDestroy();
      upstream?.destroy();
      return;
    }
    this.keep(upstream);
    this.carry(client, upstream);
    this.carry(upstream, client);
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }

  private async reach(): Promise<Socket | undefined> {
    this.turn += 1;
    for (let index = 0; index < this.upstreams.length; index += 1) {
      const port = this.upstreams[(this.turn + index) % this.upstreams.length];
      const socket = port === undefined ? undefined : await reached(port);
      if (socket !== undefined) return socket;
    }
    return undefined;
  }

  private carry(from: Socket, to: Socket): void {
    let queued = 0;
    let last = Promise.resolve();
    const inTurn = (due: number, act: () => void) => {
      last = last.then(async () => {
        if (this.isSwallowing) await this.healed;
        const wait = due - Date.now();
        if (wait > 0 && this.delayMs > 0) await pause(wait);
        act();
      });
    };
    from.on('data', (chunk) => {
      queued += chunk.length;
      if (queued > QUEUE_BYTES_MAX) from.pause();
      inTurn(Date.now() + this.delayMs, () => {
        to.write(chunk, () => {
          queued -= chunk.length;
          if (queued <= QUEUE_BYTES_MAX) from.resume();
        });
      });
    });
    from.on('end', () => inTurn(Date.now() + this.delayMs, () => to.end()));
    from.on('close', () => inTurn(0, () => to.destroySoon()));
  }
}

/** A connection to a port of this machine; undefined if nobody takes it. */
function reached(port: number): Promise<Socket | undefined> {
  return new Promise((answer) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: CONNECT_MS_MAX });
    const fail = () => {
      socket.destroy();
      answer(undefined);
    };
    socket.once('error', fail);
    socket.once('timeout', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout').removeAllListeners('error');
      answer(socket);
    });
  });
}
