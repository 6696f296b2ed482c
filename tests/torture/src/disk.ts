import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export const mayMount = process.getuid?.() === 0;

/** A small file system of its own, so that it can be filled. */
export class Disk {
  constructor(
    readonly dir: string,
    megabytes: number,
  ) {
    mkdirSync(dir, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'torture', dir]);
  }

  private get filler(): string {
    return join(this.dir, 'filler');
  }

  /** Until nothing more fits. */
  fill(): void {
    const chunk = Buffer.alloc(64 * 1024);
    const file = openSync(this.filler, 'w');
    try {
      for (;;) writeSync(file, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(this.filler, { force: true });
  }

  unmount(): void {
    // What a process still has open there goes with that process.
    execFileSync('umount', ['--lazy', this.dir]);
  }
}
