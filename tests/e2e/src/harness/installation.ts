import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { inject } from 'vitest';

import { createDatabase, type Database } from './database.js';
import { fromEnvironment } from './environment.js';
import { freePort } from './ports.js';
import { processesWith, Program } from './processes.js';
import { connect, type Client } from './client.js';
import { until } from './until.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** `sqlite`: in the data directory. `postgres`: a database of its own. */
    database: 'sqlite' | 'postgres';
    /** `private`: Slipway's own, one process for all. `shared`: one on a port. */
    redis: 'private' | 'shared';
  }
}

interface Options {
  /** More of the environment of servers and workers. */
  env?: Record<string, string>;
}

/** One Slipway with all that it needs, on the combination of the project that the test runs in. */
export class Installation {
  readonly adminToken = randomBytes(24).toString('hex');
  readonly redisKind = inject('redis');
  readonly databaseKind = inject('database');
  /** Whose every process and file stands below it. */
  readonly dir = mkdtempSync(join(tmpdir(), 'slipway-e2e-'));
  private server: Program | undefined;
  private workers: (Program | undefined)[] = [];
  private redis: Program | undefined;
  private redisPort = 0;
  private database: Database | undefined;

  private constructor(
    readonly port: number,
    private readonly options: Options,
  ) {
    mkdirSync(this.files);
  }

  static async start(options: Options = {}): Promise<Installation> {
    const installation = new Installation(await freePort(), options);
    try {
      await installation.startStores();
      await installation.startPrograms();
    } catch (error) {
      await installation.stop().catch(() => undefined);
      throw error;
    }
    return installation;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** For what steps write outside of their workspace, and for repositories. */
  get files(): string {
    return join(this.dir, 'files');
  }

  /** Where archived logs lie. */
  get objects(): string {
    return this.isAlone ? join(this.dir, 's', 'objects') : join(this.dir, 'objects');
  }

  /** What the server prints for a person who is to sign a browser in: good once. */
  get signInLink(): string {
    const link = /https?:\/\/\S+\/sign-in\/\S+/.exec(this.server?.output ?? '')?.[0];
    if (link === undefined) throw new Error(`the server has printed no link:\n${this.server?.output ?? ''}`);
    return link;
  }

  get client(): Client {
    return connect(this.url, this.adminToken);
  }

  /** What the server has printed last. */
  get output(): string {
    return this.server?.output ?? '';
  }

  /** How many processes run steps. */
  get workerCount(): number {
    return this.isAlone ? 1 : 2;
  }

  /** One process for all: several machines need a database and a Redis that all of them reach. */
  private get isAlone(): boolean {
    return this.databaseKind === 'sqlite' || this.redisKind === 'private';
  }

  private get programs(): Program[] {
    return [this.server, ...this.workers].filter((program) => program !== undefined);
  }

  private async startStores(): Promise<void> {
    if (this.databaseKind === 'postgres') {
      this.database = await createDatabase(fromEnvironment('SLIPWAY_TEST_POSTGRES_URL'));
    }
    if (this.redisKind === 'shared') {
      this.redisPort = await freePort();
      mkdirSync(join(this.dir, 'redis'));
      this.startRedis();
    }
  }

  private startRedis(): void {
    this.redis = new Program('valkey-server', fromEnvironment('SLIPWAY_TEST_REDIS_SERVER'), [
      ...['--bind', '127.0.0.1', '--port', String(this.redisPort), '--dir', join(this.dir, 'redis')],
      ...['--save', '', '--maxmemory-policy', 'noeviction'],
    ]);
  }

  /** Kills Redis. A private one is started again by the server, with what it had; a shared one comes back empty. */
  async crashRedis(): Promise<void> {
    if (this.redisKind === 'shared') {
      await this.redis?.end('SIGKILL');
      this.startRedis();
      return;
    }
    const found = processesWith(this.dir).filter(({ command }) => command.includes('valkey-server'));
    if (found.length === 0) throw new Error('there is no private Redis to kill');
    for (const { pid } of found) process.kill(pid, 'SIGKILL');
  }

  /** The environment of one process, whose data directory is `name`: nothing of this one's is inherited. */
  environment(name: string): Record<string, string> {
    const { PATH = '', HOME = '/' } = process.env;
    const env: Record<string, string> = {
      PATH,
      HOME,
      SLIPWAY_DATA_DIR: join(this.dir, name),
      SLIPWAY_LISTEN: `127.0.0.1:${this.port}`,
      SLIPWAY_ADMIN_TOKEN: this.adminToken,
      ...this.options.env,
    };
    if (this.database !== undefined) env['DATABASE_URL'] = this.database.url;
    if (this.redisKind === 'shared') {
      env['REDIS_URL'] = `redis://127.0.0.1:${this.redisPort}`;
      // Of all that machines have in common, the archive is what the data directory would hold.
      env['SLIPWAY_OBJECT_STORE'] = this.objects;
    } else {
      env['SLIPWAY_REDIS_SERVER'] = fromEnvironment('SLIPWAY_TEST_REDIS_SERVER');
    }
    return env;
  }

  private program(name: string, ...args: string[]): Program {
    return new Program(`slipway ${args.join(' ')}`, fromEnvironment('SLIPWAY_TEST_BIN'), args, {
      env: this.environment(name),
      cwd: this.files,
    });
  }

  /** Starts what does not run, on the ports and data directories that it had. */
  async startPrograms(): Promise<void> {
    const alone = this.isAlone;
    if (!this.server?.isRunning) this.server = this.program('s', 'serve', ...(alone ? [] : ['--no-worker']));
    // Each worker is a machine of its own, as far as it can tell.
    for (let index = 0; index < (alone ? 0 : this.workerCount); index += 1) {
      if (!this.workers[index]?.isRunning) this.workers[index] = this.program(`w${index}`, 'worker');
    }
    await until('the server is ready and the workers have asked for work', async () => {
      for (const program of this.programs) program.mustRun();
      const ready = await fetch(`${this.url}/readyz`);
      await ready.body?.cancel();
      if (!ready.ok) return false;
      const health = await this.client.system.health.query();
      return health.queue.workers >= this.workerCount && health.redis.status === 'ok';
    });
  }

  /** Ends server and workers, as a crash of the machine's service manager would: at once, whatever they do. */
  async kill(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.end('SIGKILL')));
  }

  /** Asks server and workers to end, and gives their exit codes. */
  async terminate(): Promise<(number | null)[]> {
    return await Promise.all(this.programs.map((program) => program.end('SIGTERM')));
  }

  /** Runs the command line against this server, to its end. */
  async cli(...args: string[]): Promise<{ code: number | null; output: string }> {
    const { PATH = '', HOME = '/' } = process.env;
    const env = { PATH, HOME, SLIPWAY_URL: this.url, SLIPWAY_TOKEN: this.adminToken };
    const program = new Program(`slipway ${args.join(' ')}`, fromEnvironment('SLIPWAY_TEST_BIN'), args, {
      env,
      cwd: this.files,
    });
    const code = await program.exit();
    return { code, output: program.output };
  }

  /** Ends everything, and fails if a process of this installation is left. */
  async stop(): Promise<void> {
    const output = () => this.programs.map((program) => `--- ${program.name}\n${program.output}`).join('\n');
    await this.terminate();
    // A private Redis ends with its parent, and a step's processes with its end: neither takes long.
    const left = await until('nothing runs any more', () => this.leftovers().length === 0, 15_000).then(
      () => [],
      () => this.leftovers(),
    );
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    await this.redis?.end('SIGTERM');
    await this.database?.drop();
    if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}\n${output()}`);
    rmSync(this.dir, { recursive: true, force: true });
  }

  private leftovers() {
    const redis = join(this.dir, 'redis');
    return processesWith(this.dir).filter(
      (found) => !found.command.includes(redis) && !this.isRedis(found.command),
    );
  }

  private isRedis(command: string): boolean {
    // Valkey renames itself to its address.
    return this.redisPort !== 0 && command.includes(`127.0.0.1:${this.redisPort}`);
  }
}
