import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import pg from 'pg';

import { initialise, launch, reachable, setup } from '../../../scripts/postgres.mjs';
import { freePort } from '../../e2e/src/harness/ports.js';
import { childrenOf, signalIfThere } from './processes.js';

/** What was answered is kept when the server is killed; a power cut is not among the faults. */
const SETTINGS = { synchronous_commit: 'on', max_wal_size: '64MB', wal_keep_size: 0 };

/** A PostgreSQL server that may be killed, stopped and restarted at any time. */
export class Postgres {
  private server: ChildProcess | undefined;
  private password = '';
  port = 0;

  constructor(
    private readonly dir: string,
    private readonly log: string,
  ) {}

  private native = '';

  private get data(): string {
    return join(this.dir, 'data');
  }

  /** Straight to the server, for the harness. */
  get url(): string {
    return `postgres://postgres:${this.password}@127.0.0.1:${this.port}/postgres`;
  }

  async create(): Promise<void> {
    mkdirSync(this.dir, { recursive: true });
    this.native = reachable(setup(), this.dir);
    this.port = await freePort();
    this.password = initialise(this.native, this.dir, this.data);
    await this.start();
  }

  /** Starts it where it does not run. */
  async start(): Promise<void> {
    if (this.pids.length > 0) return;
    const { server, tail } = await launch(this.native, this.data, this.port, SETTINGS);
    appendFileSync(this.log, `${tail.join('\n')}\n`);
    if (server === null) throw new Error(`PostgreSQL did not start:\n${tail.join('\n')}`);
    server.stderr?.on('data', (chunk: Buffer) => appendFileSync(this.log, chunk));
    this.server = server;
  }

  /** As a crash: nothing is written before it ends. */
  async crash(): Promise<void> {
    await this.end('SIGQUIT');
  }

  /** PostgreSQL's fast shutdown. */
  async terminate(): Promise<void> {
    await this.end('SIGINT');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { server } = this;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await once(server, 'exit');
  }

  stop(): void {
    for (const pid of this.pids) signalIfThere(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of this.pids) signalIfThere(pid, 'SIGCONT');
  }

  /** Ends every session of a client. */
  async terminateBackends(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      );
    } finally {
      await client.end();
    }
  }

  /** The server and those that it has started; none if it has ended. */
  get pids(): number[] {
    const { server } = this;
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return [];
    return [server.pid, ...childrenOf(server.pid)];
  }
}
