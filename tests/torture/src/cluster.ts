import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { createDatabase } from '../../e2e/src/harness/database.js';
import { fromEnvironment } from '../../e2e/src/harness/environment.js';
import { freePort } from '../../e2e/src/harness/ports.js';
import { until } from '../../e2e/src/harness/until.js';
import { Disk, mayMount } from './disk.js';
import { Link } from './link.js';
import { Postgres } from './postgres.js';
import { command } from './redis.js';
import { Server } from './server.js';
import { Setup } from './setup.js';

const APIS = 2;
const WORKERS = 3;
/** PostgreSQL needs about half of it. */
const DISK_MEGABYTES = 256;

interface Ports {
  apis: number[];
  redis: number;
}

/** Two servers and three workers, each as a machine of its own, with PostgreSQL, Redis and a shared object store. */
export class Cluster extends Setup {
  readonly kind = 'cluster';
  readonly apis: Server[] = [];
  readonly workers: Server[] = [];
  readonly disk: Disk | undefined;
  readonly postgres: Postgres;
  readonly redis: Server;
  /** From each process to each store, and from clients to each API. */
  readonly links: Link[] = [];
  clients!: Link;

  private constructor(private readonly ports: Ports) {
    super();
    mkdirSync(this.redisData);
    this.redis = new Server('redis', {
      file: fromEnvironment('SLIPWAY_TEST_REDIS_SERVER'),
      args: [
        ...['--bind', '127.0.0.1', '--port', String(ports.redis), '--dir', this.redisData],
        ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
        ...['--maxmemory-policy', 'noeviction'],
      ],
      env: {},
      cwd: this.dir,
      log: this.log('redis'),
    });
    const disk = join(this.dir, 'postgres');
    this.postgres = new Postgres(join(disk, 'server'), this.log('postgres'));
    this.disk = mayMount ? new Disk(disk, DISK_MEGABYTES) : undefined;
  }

  static async create(): Promise<Cluster> {
    const apis = await Promise.all(Array.from({ length: APIS }, freePort));
    const cluster = new Cluster({ apis, redis: await freePort() });
    try {
      await cluster.create();
    } catch (error) {
      await cluster.stop(true);
      throw error;
    }
    return cluster;
  }

  private async create(): Promise<void> {
    await this.postgres.create();
    const { url } = await createDatabase(this.postgres.url);
    const fronts = [];
    for (const [index, port] of this.ports.apis.entries()) {
      const front = await this.link(`clients to api ${index}`, port);
      fronts.push(front.port);
      this.apis.push(await this.process(`api ${index}`, url, ['serve', '--no-worker'], port));
    }
    for (let index = 0; index < WORKERS; index += 1) {
      this.workers.push(await this.process(`worker ${index}`, url, ['worker']));
    }
    this.clients = await Link.start('clients', ...fronts);
  }

  private async link(name: string, port: number): Promise<Link> {
    const link = await Link.start(name, port);
    this.links.push(link);
    return link;
  }

  /** A Slipway process with links of its own to what it needs. */
  private async process(name: string, database: string, args: string[], port?: number): Promise<Server> {
    const toRedis = await this.link(`${name} to redis`, this.ports.redis);
    const toPostgres = await this.link(`${name} to postgres`, this.postgres.port);
    const url = new URL(database);
    url.port = String(toPostgres.port);
    return this.slipway(name, args, {
      SLIPWAY_DATA_DIR: this.machine(name),
      ...(port === undefined ? {} : { SLIPWAY_LISTEN: `127.0.0.1:${port}` }),
      DATABASE_URL: url.href,
      REDIS_URL: `redis://127.0.0.1:${toRedis.port}`,
      SLIPWAY_OBJECT_STORE: this.objects,
      SLIPWAY_CONCURRENCY: '4',
    });
  }

  private machine(name: string): string {
    return join(this.dir, name.replace(' ', '-'));
  }

  get machines(): string[] {
    return this.servers.map(({ name }) => this.machine(name));
  }

  get objects(): string {
    return join(this.dir, 'objects');
  }

  get redisAt() {
    return { host: '127.0.0.1', port: this.ports.redis };
  }

  private get redisData(): string {
    return join(this.dir, 'redis');
  }

  /** What a killed Redis would start from. */
  forgetRedis(): void {
    rmSync(this.redisData, { recursive: true, force: true });
    mkdirSync(this.redisData);
  }

  async startRedis(): Promise<void> {
    this.redis.start();
    await until('redis answers', async () => (await command(this.redisAt, 'PING')) === 'PONG');
  }

  override async heal(): Promise<void> {
    for (const link of this.links) await link.mend();
    await super.heal();
  }

  protected async startStores(): Promise<void> {
    await this.postgres.start();
    await this.startRedis();
  }

  protected async stopStores(): Promise<void> {
    for (const link of [this.clients, ...this.links]) link?.stop();
    this.redis.resume();
    await this.redis.kill();
    this.postgres.resume();
    await this.postgres.terminate();
    this.disk?.unmount();
  }
}
