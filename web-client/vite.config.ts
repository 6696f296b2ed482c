import { defineConfig } from 'vite';

const server = 'http://127.0.0.1:3001';

export default defineConfig({
  build: {
    // The server's content security policy refuses `data:` addresses and scripts within the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
  },
  server: {
    host: '127.0.0.1',
    port: 5173,
    strictPort: true,
    // Everything that is not a file of this folder belongs to the server, so that a new path needs no entry here.
    proxy: {
      '^/(?!$|\\?|index\\.html|src/|node_modules/|@|assets/|icon\\.svg)': {
        target: server,
        changeOrigin: false,
      },
    },
  },
});
