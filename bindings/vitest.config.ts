import { defineConfig } from 'vitest/config';

/** Bounds for what hangs, not expectations: each test waits for conditions. */
export default defineConfig({ test: { testTimeout: 120_000 } });
