import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connect } from '../../e2e/src/harness/client.js';
import { fromEnvironment } from '../../e2e/src/harness/environment.js';
import { processesWith, type Found } from '../../e2e/src/harness/processes.js';
import { until } from '../../e2e/src/harness/until.js';
import type { Link } from './link.js';
import { programOf, signalIfThere } from './processes.js';
import { Server } from './server.js';
import type { Kind } from './settings.js';

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const KEEP_INTERVAL_MS = 500;
/** A program that cannot start, because what it needs is away, may end; after this it may not. */
const STARTING_MS_MAX = 30_000;

/** Shorter than by default, so that what they bound comes to pass within a schedule. */
const ENVIRONMENT = {
  SLIPWAY_LOG: 'info,slipway=debug',
  SLIPWAY_HOST_SILENCE: '8s',
  SLIPWAY_GRACE: '2s',
  SLIPWAY_STREAM_PING: '2s',
  SLIPWAY_LOG_STREAM_KEEP: '30s',
  SLIPWAY_LOG_SEGMENT_BYTES: '256KiB',
};

/** One Slipway with all its parts as processes of their own. Everything of it lies in one directory. */
export abstract class Setup {
  readonly dir = mkdtempSync(join(tmpdir(), 'slipway-torture-'));
  readonly adminToken = randomBytes(24).toString('hex');
  abstract readonly kind: Kind;
  abstract readonly apis: Server[];
  /** Those that run steps; in one process with the API, the same as that. */
  abstract readonly workers: Server[];
  /** What clients talk to. */
  abstract readonly clients: Link;
  abstract readonly redisAt: NetConnectOpts;
  abstract readonly objects: string;
  /** Data directories: one a machine. */
  abstract readonly machines: string[];
  /** Servers that ended by themselves, each time that they did. */
  readonly ends: { name: string; wasStarting: boolean; lastWords: string }[] = [];
  private keeper: NodeJS.Timeout | undefined;

  constructor() {
    // PostgreSQL runs as another user.
    chmodSync(this.dir, 0o711);
    mkdirSync(this.files);
    // Steps are other users, each run another one, and all write to the same files.
    chmodSync(this.files, 0o777);
    mkdirSync(join(this.dir, 'logs'));
    // A build that goes on beside must not change the program between two of its lives.
    copyFileSync(fromEnvironment('SLIPWAY_TEST_BIN'), this.program);
  }

  private get program(): string {
    return join(this.dir, 'slipway');
  }

  /** What steps write outside of their workspace, and repositories. */
  get files(): string {
    return join(this.dir, 'files');
  }

  /** A line for each command of a step that began or came to its end. */
  get effects(): string {
    return join(this.files, 'effects');
  }

  get url(): string {
    return `http://127.0.0.1:${this.clients.port}`;
  }

  log(name: string): string {
    return join(this.dir, 'logs', `${name}.log`);
  }

  /** All that is Slipway, each once. */
  get servers(): Server[] {
    return [...new Set([...this.apis, ...this.workers])];
  }

  protected slipway(name: string, args: string[], env: Record<string, string>): Server {
    const { PATH = '', HOME = '/' } = process.env;
    return new Server(name, {
      file: this.program,
      args,
      env: {
        ...{ PATH, HOME, ...ENVIRONMENT, SLIPWAY_ADMIN_TOKEN: this.adminToken },
        ...{ SLIPWAY_EXECUTOR_WRITABLE: this.files, SLIPWAY_EXECUTOR_UMASK: '000', ...env },
      },
      cwd: this.files,
      log: this.log(name),
    });
  }

  /** Puts right what a fault may have left, such as one that could not be healed. */
  async heal(): Promise<void> {
    await this.clients.mend();
    for (const server of this.servers) server.resume();
    await this.start();
  }

  /** Starts every part that does not run, and waits until all work together. */
  async start(): Promise<void> {
    await this.startStores();
    for (const server of this.servers) server.start();
    const { system } = connect(this.url, this.adminToken);
    await until(
      'the installation is ready',
      async () => {
        const health = await system.health.query();
        return health.status === 'ok' && health.queue.workers >= this.workers.length;
      },
      READY_MS_MAX,
    );
  }

  /** Starts servers again that end by themselves, as a service manager does. */
  keepRunning(say: (text: string) => void): void {
    this.keeper = setInterval(() => {
      for (const server of this.servers.filter((server) => server.hasEndedByItself)) {
        const { name, ageMs, lastWords } = server;
        this.ends.push({ name, wasStarting: ageMs < STARTING_MS_MAX, lastWords });
        say(`! ${name} has ended by itself, and is started again: ${lastWords}`);
        server.start();
      }
    }, KEEP_INTERVAL_MS);
  }

  /** Database, Redis, disks: made at the first start. */
  protected abstract startStores(): Promise<void>;
  protected abstract stopStores(keepFiles: boolean): Promise<void>;

  /** The processes of this installation that are neither servers nor what servers consist of. */
  leftovers(): Found[] {
    const known = new Set(this.servers.map((server) => server.pid));
    // One that has ended since it was found runs nothing.
    const stores = ['postgres', 'valkey-server', ''];
    return processesWith(this.dir).filter(({ pid }) => !known.has(pid) && !stores.includes(programOf(pid)));
  }

  /** Asks everything to end. Gives the names of those that did not do so with exit code 0. */
  async terminate(): Promise<string[]> {
    clearInterval(this.keeper);
    const ends = this.servers.map(async (server) => {
      const code = server.pid === undefined ? 0 : await server.terminate();
      return code === 0 ? [] : [`${server.name} (${code})`];
    });
    return (await Promise.all(ends)).flat();
  }

  /** Ends all that is left, however it was left. */
  async stop(keepFiles: boolean): Promise<void> {
    await this.terminate();
    for (const { pid } of processesWith(this.dir)) signalIfThere(pid, 'SIGCONT');
    await until('nothing runs any more', () => this.leftovers().length === 0, STOP_MS_MAX).catch(() => {
      for (const { pid } of this.leftovers()) signalIfThere(pid, 'SIGKILL');
    });
    await this.stopStores(keepFiles);
    rmSync(keepFiles ? this.program : this.dir, { recursive: true, force: true });
  }
}

