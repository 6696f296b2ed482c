// `make dev`: rebuilds and restarts the server on each change of its sources, beside Vite's own dev server.
// Node's own watcher does it, since building cargo-watch takes longer than building the server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, watch } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const web = 'http://127.0.0.1:5173';
/** Editors write a file in several steps, and formatters right after them. */
const debounceMs = 200;
const watched = ['src', 'migrations', 'Cargo.toml', 'Cargo.lock'];

const env = { ...process.env };
// What the browser sees, so that the sign-in link and the check of origins fit.
env.SLIPWAY_PUBLIC_URL ??= web;
const onPath = (program) =>
  (env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
if (!onPath('valkey-server') && !onPath('redis-server')) {
  env.SLIPWAY_REDIS_SERVER ??= join(root, '.cache/valkey/valkey-server');
}

const say = (text) => console.log(`dev: ${text}`);
const running = (child) => child !== undefined && child.exitCode === null && child.signalCode === null;

function start(program, args, cwd = root) {
  // A group of its own: Ctrl+C meets this script alone, which then ends its children in order.
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  child.on('error', (error) => say(`${program}: ${error.message}`));
  return child;
}

async function end(child) {
  if (!running(child)) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

let stopping = false;
let changed = true;
let rebuilding = false;
let timer;
let server;
let build;

async function exitCode(program, args) {
  build = start(program, args);
  return await new Promise((done) => {
    build.once('exit', (code) => done(code ?? 1));
    build.once('error', () => done(1));
  });
}

async function rebuild() {
  if (rebuilding) return;
  rebuilding = true;
  while (changed && !stopping) {
    changed = false;
    say('building the server');
    if ((await exitCode('cargo', ['build', '--locked'])) !== 0 || changed || stopping) continue;
    // The web client takes its types from the bindings.
    await exitCode('target/debug/slipway', ['bindings']);
    await end(server);
    if (!stopping) server = start('target/debug/slipway', ['serve']);
  }
  rebuilding = false;
}

function onChange() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    changed = true;
    // What is being built is out of date.
    if (running(build)) build.kill('SIGTERM');
    void rebuild();
  }, debounceMs);
}

async function stop() {
  if (stopping) return;
  stopping = true;
  clearTimeout(timer);
  for (const watcher of watchers) watcher.close();
  await Promise.all([end(build), end(server), end(vite)]);
  process.exit(0);
}

const watchers = watched
  .map((path) => join(root, path))
  .filter((path) => existsSync(path))
  .map((path) => watch(path, { recursive: true }, onChange));
const vite = start(join(root, 'node_modules/.bin/vite'), [], join(root, 'web-client'));
vite.on('exit', () => void stop());
process.on('SIGINT', () => void stop());
process.on('SIGTERM', () => void stop());
say(`the web client is at ${web} once the server is built; Ctrl+C ends both`);
void rebuild();
