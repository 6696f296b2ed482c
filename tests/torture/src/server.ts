import { Program } from '../../e2e/src/harness/processes.js';

interface Command {
  file: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  /** Where its output goes, of each of its lives. */
  log: string;
}

/** A program that is started again and again, on the port and the data directory that it had. */
export class Server {
  private program: Program | undefined;
  private isStopped = false;
  private isWanted = false;
  private startedMs = 0;

  constructor(
    readonly name: string,
    private readonly command: Command,
  ) {}

  get pid(): number | undefined {
    return this.program?.isRunning ? this.program.pid : undefined;
  }

  /** Starts it where it does not run. `more` is added to its environment, for this life. */
  start(more: Record<string, string> = {}): void {
    if (this.pid !== undefined) return;
    const { file, args, env, cwd, log } = this.command;
    this.isStopped = false;
    this.isWanted = true;
    this.startedMs = Date.now();
    this.program = new Program(this.name, file, args, { env: { ...env, ...more }, cwd, log });
  }

  /** Whether it has ended although nobody asked for that. */
  get hasEndedByItself(): boolean {
    return this.isWanted && this.program !== undefined && !this.program.isRunning;
  }

  get ageMs(): number {
    return Date.now() - this.startedMs;
  }

  /** What it has said last. */
  get lastWords(): string {
    return this.program?.output.trimEnd().split('\n').at(-1) ?? '';
  }

  async kill(): Promise<void> {
    this.isWanted = false;
    this.isStopped = false;
    await this.program?.end('SIGKILL');
  }

  /** Asks it to end; its exit code, null if it was gone. */
  async terminate(): Promise<number | null> {
    this.isWanted = false;
    if (this.pid === undefined) return null;
    this.resume();
    return (await this.program?.end('SIGTERM')) ?? null;
  }

  stop(): void {
    this.isStopped = true;
    this.program?.signal('SIGSTOP');
  }

  resume(): void {
    if (this.isStopped) this.program?.signal('SIGCONT');
    this.isStopped = false;
  }
}
