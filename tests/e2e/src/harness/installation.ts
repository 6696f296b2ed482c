import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { inject } from 'vitest';

import { askPostgres, askSqlite, createDatabase, type Database } from './database.js';
import { fromEnvironment } from './environment.js';
import { freePort } from './ports.js';
import { processesWith, Program, type Found } from './processes.js';
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

/** What `slipway doctor --json` says. */
export interface Report {
  ok: boolean;
  checks: { name: string; verdict: 'ok' | 'warn' | 'fail'; message: string; advice: string | null }[];
  repairs: string[];
}

interface Options {
  /** More of the environment of servers and workers. */
  env?: Record<string, string>;
  /** Where it listens; without it, at whichever port is free. */
  port?: number;
  /** Nobody works on runs, until the test starts a worker. */
  withoutWorkers?: boolean;
  /** The user, by number, that the programs run as; without it, the one of the tests. */
  user?: number;
  /** Makes the server's data directory before the server first starts. */
  prepare?: (dataDir: string) => Promise<void>;
}

/** One Slipway with all that it needs, on the combination of the project that the test runs in. */
export class Installation {
  readonly adminToken = randomBytes(24).toString('hex');
  readonly redisKind = inject('redis');
  readonly databaseKind = inject('database');
  /** Whose every process and file stands below it. */
  readonly dir = mkdtempSync(join(tmpdir(), 'slipway-e2e-'));
  /** What is started: an upgrade puts another file in its place. */
  binary = fromEnvironment('SLIPWAY_TEST_BIN');
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
    // Steps are other users, each run another one.
    chmodSync(this.files, 0o777);
    if (options.user !== undefined) chownSync(this.dir, options.user, options.user);
  }

  static async start(options: Options = {}): Promise<Installation> {
    const installation = new Installation(options.port ?? (await freePort()), options);
    try {
      await installation.startStores();
      await options.prepare?.(installation.dataDir);
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

  /** The server's. */
  get dataDir(): string {
    return join(this.dir, 's');
  }

  /** Executes statements in its database from outside, and gives the rows of the last one. */
  async askDatabase(...statements: string[]): Promise<unknown[][]> {
    if (this.database !== undefined) return await askPostgres(this.database.url, ...statements);
    return askSqlite(join(this.dataDir, 'slipway.db'), ...statements);
  }

  /** Where archived logs lie. */
  get objects(): string {
    return this.isAlone ? join(this.dataDir, 'objects') : join(this.dir, 'objects');
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

  /** The process ids of the server and of its workers. */
  get pids(): number[] {
    return this.programs.map((program) => program.pid).filter((pid) => pid !== undefined);
  }

  /** What the server has printed last. */
  get output(): string {
    return this.server?.output ?? '';
  }

  /** How many processes run steps. */
  get workerCount(): number {
    if (this.options.withoutWorkers) return 0;
    return this.isAlone ? 1 : 2;
  }

  /** One process for all: several machines need a database and a Redis that all of them reach. */
  private get isAlone(): boolean {
    return this.databaseKind === 'sqlite' || this.redisKind === 'private';
  }

  private get hasWorkerInside(): boolean {
    return this.isAlone && this.workerCount > 0;
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

  startRedis(): void {
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
    for (const { pid } of this.privateRedis()) process.kill(pid, 'SIGKILL');
  }

  private privateRedis(): Found[] {
    const found = processesWith(this.dir).filter(({ command }) => command.includes('valkey-server'));
    if (found.length === 0) throw new Error('there is no private Redis');
    return found;
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
      // Runs add to what other runs have written there.
      SLIPWAY_EXECUTOR_WRITABLE: this.files,
      SLIPWAY_EXECUTOR_UMASK: '000',
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

  /** More of the environment of what is started from here on. */
  setEnvironment(env: Record<string, string>): void {
    this.options.env = { ...this.options.env, ...env };
  }

  private program(name: string, ...args: string[]): Program {
    const { user } = this.options;
    return new Program(`slipway ${args.join(' ')}`, this.binary, args, {
      env: this.environment(name),
      cwd: this.files,
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
  }

  /** Starts what does not run, on the ports and data directories that it had. */
  async startPrograms(): Promise<void> {
    const alone = this.isAlone;
    if (!this.server?.isRunning) this.server = this.program('s', 'serve', ...(this.hasWorkerInside ? [] : ['--no-worker']));
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

  /** The directories that machines have of a run. */
  runDirectories(runId: string): string[] {
    return ['s', 'w0', 'w1'].map((name) => join(this.dir, name, 'runs', runId)).filter((dir) => existsSync(dir));
  }

  /** The worker, of several machines, that has a run. */
  workerOf(runId: string): Program {
    const [dir, ...others] = this.runDirectories(runId);
    const index = dir?.endsWith(join('w0', 'runs', runId)) ? 0 : 1;
    const worker = this.workers[index];
    if (dir === undefined || others.length > 0 || worker === undefined) {
      throw new Error(`${runId} is on ${others.length + 1} machines`);
    }
    return worker;
  }

  /** Starts a worker, where there is none from the beginning. */
  startWorker(): Program {
    const worker = this.program(this.isAlone ? 's' : 'w0', 'worker');
    this.workers.push(worker);
    return worker;
  }

  /** Has the server stop in its tracks, or go on. */
  signalServer(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.server?.signal(signal);
  }

  /** The data directories of its machines: the server's first. */
  get machines(): string[] {
    return this.isAlone ? ['s'] : ['s', 'w0', 'w1'];
  }

  /** Runs the doctor on a machine, to its end. */
  async doctor(machine: string, ...args: string[]): Promise<Report> {
    const all = { ...this.environment(machine), SLIPWAY_URL: this.url, SLIPWAY_TOKEN: this.adminToken };
    const bin = fromEnvironment('SLIPWAY_TEST_BIN');
    const program = new Program('slipway doctor', bin, ['doctor', '--json', ...args], { env: all, cwd: this.files });
    await program.exit();
    return JSON.parse(program.output) as Report;
  }

  /** Has Redis stop in its tracks, or go on. */
  signalRedis(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.redisKind === 'shared') this.redis?.signal(signal);
    else for (const { pid } of this.privateRedis()) process.kill(pid, signal);
  }

  /** Kills a shared Redis, which does not come back before `startRedis`. */
  async killRedis(): Promise<void> {
    await this.redis?.end('SIGKILL');
  }

  /** Where its Redis listens. */
  get redisAddress(): { host: string; port: number } | { path: string } {
    return this.redisKind === 'shared'
      ? { host: '127.0.0.1', port: this.redisPort }
      : { path: join(this.dir, 's', 'redis', 'redis.sock') };
  }

  /** A command to Redis, as a person would type it, and what it answers. */
  async askRedis(command: string): Promise<string> {
    const socket = connectSocket(this.redisAddress);
    socket.write(`${command}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString().trim();
  }

  /** Has another server take the place of the one that runs, which ends. */
  async replaceServer(): Promise<void> {
    const replaced = this.server;
    this.server = this.program('s', 'serve', '--replace', ...(this.isAlone ? [] : ['--no-worker']));
    const code = await replaced?.exit();
    if (code !== 0) throw new Error(`the server that was replaced ended with ${code}:\n${replaced?.output}`);
    this.server.mustRun();
  }

  /** Ends the workers and starts them again, one after the other; a worker in the server is replaced with that. */
  async restartWorkers(): Promise<void> {
    for (const [index, worker] of this.workers.entries()) {
      const code = await worker?.end('SIGTERM');
      if (code !== 0) throw new Error(`worker ${index} ended with ${code}:\n${worker?.output}`);
      await this.startPrograms();
    }
  }

  /** Ends server and workers, as a crash of the machine's service manager would: at once, whatever they do. */
  async kill(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.end('SIGKILL')));
  }

  /** Nobody reads any more what server and workers say of themselves. */
  leaveUnread(): void {
    for (const program of this.programs) program.leaveUnread();
  }

  /** Asks server and workers to end, and gives their exit codes. */
  async terminate(): Promise<(number | null)[]> {
    return await Promise.all(this.programs.map((program) => program.end('SIGTERM')));
  }

  /** Runs the command line against this server, to its end. */
  async cli(...args: string[]): Promise<{ code: number | null; output: string }> {
    return await ended(this.startCli(...args));
  }

  /** The same, with something to read. */
  async cliWith(input: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
    const { PATH = '', HOME = '/' } = process.env;
    const env = { PATH, HOME, SLIPWAY_URL: this.url, SLIPWAY_TOKEN: this.adminToken };
    return await ended(new Program(`slipway ${args.join(' ')}`, this.binary, args, { env, cwd: this.files, input }));
  }

  /** The same, while it runs. */
  startCli(...args: string[]): Program {
    const { PATH = '', HOME = '/' } = process.env;
    return this.command({ PATH, HOME, SLIPWAY_URL: this.url, SLIPWAY_TOKEN: this.adminToken }, args);
  }

  /** Runs a command on the server's machine, with its settings, to its end. */
  async operate(...args: string[]): Promise<{ code: number | null; output: string }> {
    return await ended(this.command(this.environment('s'), args));
  }

  private command(env: Record<string, string>, args: string[]): Program {
    return new Program(`slipway ${args.join(' ')}`, this.binary, args, { env, cwd: this.files });
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
    for (const { pid } of left) killIfThere(pid);
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

/** One may end while others are killed, and must not keep them alive. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function ended(program: Program): Promise<{ code: number | null; output: string }> {
  const code = await program.exit();
  return { code, output: program.output };
}
