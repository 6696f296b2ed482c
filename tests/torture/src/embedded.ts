import { cpSync } from 'node:fs';
import { join } from 'node:path';

import { fromEnvironment } from '../../e2e/src/harness/environment.js';
import { freePort } from '../../e2e/src/harness/ports.js';
import { processesWith } from '../../e2e/src/harness/processes.js';
import { Disk, mayMount } from './disk.js';
import { Link } from './link.js';
import { programOf, signalIfThere } from './processes.js';
import type { Server } from './server.js';
import { Setup } from './setup.js';

/** With room for all of a schedule: what fills it is the fault. */
const DISK_MEGABYTES = 128;

/** One process on SQLite with its private Redis. */
export class Embedded extends Setup {
  readonly kind = 'embedded';
  readonly disk: Disk | undefined;
  private readonly server: Server;

  private constructor(
    apiPort: number,
    readonly clients: Link,
  ) {
    super();
    this.server = this.slipway('server', ['serve'], {
      SLIPWAY_DATA_DIR: this.data,
      SLIPWAY_LISTEN: `127.0.0.1:${apiPort}`,
      SLIPWAY_REDIS_SERVER: fromEnvironment('SLIPWAY_TEST_REDIS_SERVER'),
      SLIPWAY_CONCURRENCY: '8',
    });
    this.disk = mayMount ? new Disk(join(this.dir, 'disk'), DISK_MEGABYTES) : undefined;
  }

  static async create(): Promise<Embedded> {
    const port = await freePort();
    return new Embedded(port, await Link.start('clients', port));
  }

  private get data(): string {
    return join(this.dir, 'disk', 's');
  }

  get apis(): Server[] {
    return [this.server];
  }

  get workers(): Server[] {
    return [this.server];
  }

  get machines(): string[] {
    return [this.data];
  }

  get objects(): string {
    return join(this.data, 'objects');
  }

  get redisAt() {
    return { path: join(this.data, 'redis', 'redis.sock') };
  }

  /** The private Redis, which the server starts again by itself. */
  signalRedis(signal: NodeJS.Signals): void {
    for (const { pid } of processesWith(join(this.data, 'redis'))) {
      if (programOf(pid) === 'valkey-server') signalIfThere(pid, signal);
    }
  }

  protected async startStores(): Promise<void> {
    // The server brings its own.
  }

  protected async stopStores(keepFiles: boolean): Promise<void> {
    this.clients.stop();
    if (this.disk === undefined) return;
    // It must not go with the disk.
    const isNoSocket = (path: string) => !path.endsWith('.sock');
    if (keepFiles) cpSync(this.data, join(this.dir, 'data'), { recursive: true, filter: isNoSocket });
    this.disk.unmount();
  }
}
