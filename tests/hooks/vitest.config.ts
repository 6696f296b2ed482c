import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    provide: { database: 'sqlite', redis: 'private' },
    maxWorkers: 2,
    // Bounds for what hangs, not expectations: each test waits for conditions.
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
