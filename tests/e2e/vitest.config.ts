import { defineConfig } from 'vitest/config';

/** What each suite runs on: all of it on the two that people use, a few calls on the two others. */
const combinations = [
  { name: 'sqlite, private valkey', database: 'sqlite', redis: 'private', include: ['src/**/*.test.ts'] },
  {
    name: 'postgres, redis, two workers',
    database: 'postgres',
    redis: 'shared',
    include: ['src/**/*.test.ts'],
  },
  { name: 'sqlite, redis', database: 'sqlite', redis: 'shared', include: ['src/promise.test.ts'] },
  {
    name: 'postgres, private valkey',
    database: 'postgres',
    redis: 'private',
    include: ['src/promise.test.ts'],
  },
] as const;

export default defineConfig({
  test: {
    // Every installation is several processes, and the machine may have two cores; but most of the time they wait.
    maxWorkers: 4,
    projects: combinations.map(({ name, database, redis, include }) => ({
      test: {
        name,
        include: [...include],
        provide: { database, redis },
        // Every answer is held against the published schema.
        setupFiles: ['src/harness/published.ts'],
        // Bounds for what hangs, not expectations: each test waits for conditions.
        testTimeout: 180_000,
        hookTimeout: 120_000,
        teardownTimeout: 30_000,
      },
    })),
  },
});
