import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const server = 'http://127.0.0.1:3001';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // The bindings have a tRPC of their own where npm keeps another version for them; a page needs one.
  resolve: { dedupe: ['@trpc/client', '@trpc/server', 'react', 'react-dom'] },
  build: {
    target: 'es2023',
    // The server's content security policy refuses `data:` addresses and scripts within the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
    // What `bundle.mjs` counts by.
    manifest: 'assets/manifest.json',
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What every page needs is smaller in one piece, and nothing of it waits for another.
            { name: 'start', tags: ['$initial'], priority: 1 },
            // So are the small parts that most pages share.
            { name: 'common', test: /src.(time|roles|api.me|ui.(copy|Empty|StatusIcon|Time)|components.Progress)\b|useMutation/, minShareCount: 2 },
          ],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    port: 5173,
    strictPort: true,
    proxy: {
      // The server's own paths; every other is a route of the client.
      '^/(trpc|trpc-live|api|docs|admin|auth|openapi\\.json|healthz|readyz|metrics)(/|$|\\?)': {
        target: server,
        changeOrigin: false,
      },
      '^/sign-in/.+': { target: server, changeOrigin: false },
    },
  },
  // A bound for what hangs; a busy machine is slow.
  test: { include: ['src/**/*.test.ts'], testTimeout: 60_000 },
});
