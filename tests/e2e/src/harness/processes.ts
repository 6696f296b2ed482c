import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { Hopeless } from './until.js';

/** How much of a program's output is kept for the message of a test that fails. */
const OUTPUT_CHARACTERS_MAX = 64 * 1024;

/** A program that the harness started: its output is kept, and it is only ever signalled by its own id. */
export class Program {
  output = '';
  private readonly child: ChildProcess;

  constructor(
    readonly name: string,
    file: string,
    args: string[],
    options: {
      env?: NodeJS.ProcessEnv;
      cwd?: string;
      uid?: number;
      gid?: number;
      /** What it reads. */
      input?: string;
      /** A file that is given all of the output. */
      log?: string;
    } = {},
  ) {
    const { log, input, ...rest } = options;
    this.child = spawn(file, args, { ...rest, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    this.child.stdin?.end(input);
    const keep = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
      if (log !== undefined) appendFileSync(log, chunk);
    };
    this.child.stdout?.on('data', keep);
    this.child.stderr?.on('data', keep);
    this.child.on('error', (error) => keep(Buffer.from(`${error.message}\n`)));
  }

  /** From now on nobody reads what it prints. */
  leaveUnread(): void {
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
  }

  get isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Throws with the program's output once it has ended, for conditions that it would have to fulfil. */
  mustRun(): void {
    if (!this.isRunning) {
      throw new Hopeless(
        `${this.name} has ended (${this.child.exitCode ?? this.child.signalCode}):\n${this.output}`,
      );
    }
  }

  /** Its exit code, once it has ended; null if a signal ended it. */
  async exit(): Promise<number | null> {
    if (this.isRunning) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.child.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.signal(signal);
    return await this.exit();
  }
}

export interface Found {
  pid: number;
  command: string;
}

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    // The process has ended meanwhile, or is not ours to look at.
    return '';
  }
}

/** Every process for which `text` stands in its arguments, its working directory or one of its open files. */
export function processesWith(text: string): Found[] {
  const found: Found[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const command = readOrEmpty(() => readFileSync(`/proc/${entry}/cmdline`, 'utf8'))
      .replaceAll('\0', ' ')
      .trim();
    // One that has ended and waits for its parent has no arguments any more.
    if (command === '') continue;
    const places = [command, readOrEmpty(() => readlinkSync(`/proc/${entry}/cwd`))];
    for (const file of filesOf(entry))
      places.push(readOrEmpty(() => readlinkSync(`/proc/${entry}/fd/${file}`)));
    if (places.some((place) => place.includes(text))) found.push({ pid: Number(entry), command });
  }
  return found;
}

function filesOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}

/** The processes that are exactly this: not the shell that is about to start it. */
export function processesThatAre(command: string): Found[] {
  return processesWith(command).filter((found) => found.command === command);
}

/** The processes that look after the steps of an installation. */
export function supervisorsIn(dir: string): Found[] {
  return processesWith(dir).filter((found) => found.command.includes('__supervise'));
}
