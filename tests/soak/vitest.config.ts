import { defineConfig } from 'vitest/config';

const HOURS_12 = 12 * 60 * 60 * 1000;

/** `make load` and `make soak`: no part of `make test`, since they take minutes to hours. */
const projects = [
  { name: 'load', database: 'sqlite', redis: 'private', include: ['src/load.test.ts', 'src/queues.test.ts'] },
  { name: 'soak: sqlite, private valkey', database: 'sqlite', redis: 'private', include: ['src/soak.test.ts'] },
  { name: 'soak: postgres, redis, two workers', database: 'postgres', redis: 'shared', include: ['src/soak.test.ts'] },
] as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: projects.map(({ name, database, redis, include }) => ({
      test: {
        name,
        include: [...include],
        provide: { database, redis },
        testTimeout: HOURS_12,
        hookTimeout: 120_000,
      },
    })),
  },
});
