import type { ChildProcess } from 'node:child_process';

export declare function setup(): string;
export declare function reachable(native: string, scratch: string): string;
export declare function initialise(native: string, scratch: string, data: string): string;
export declare function launch(
  native: string,
  data: string,
  port: number,
  more?: Record<string, string | number>,
): Promise<{ server: ChildProcess | null; tail: string[] }>;
