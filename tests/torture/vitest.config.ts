import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts'],
    // One installation at a time: each is up to a dozen processes, and the machine may have two cores.
    maxWorkers: 1,
    // What is said on the way is for whoever waits for the end.
    disableConsoleIntercept: true,
    // Everything in a schedule has a bound of its own.
    testTimeout: 0,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});
