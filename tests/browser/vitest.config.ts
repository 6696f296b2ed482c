import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts'],
    provide: { database: 'sqlite', redis: 'private' },
    // Each has a browser and a server of its own, and the machine may have two cores; but most of the time they wait.
    maxWorkers: 2,
    // Bounds for what hangs, not expectations: each test waits for conditions.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
