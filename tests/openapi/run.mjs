// `make api-test` and `make api-fuzz`: what the document promises, tried out against a real server.
//
//   node tests/openapi/run.mjs [examples per operation]
//
// The document is linted; then schemathesis makes requests from it, right ones and wrong ones, and chains of them.
// The server has a few pipelines and runs that have ended; what is triggered meanwhile ends at once, so that every
// stream that is followed comes to its end.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXAMPLES_DEFAULT = 50;
const READY_MS_MAX = 60_000;
const LOOK_MS = 50;
const OUTPUT_CHARACTERS_MAX = 200_000;

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const examples = Number(process.argv[2] ?? EXAMPLES_DEFAULT);
const program = process.env.SLIPWAY_TEST_BIN ?? join(root, 'target/debug/slipway');
const redis = process.env.SLIPWAY_TEST_REDIS_SERVER ?? join(root, '.cache/valkey/valkey-server');

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function startServer(dir, port, token) {
  const { PATH = '', HOME = '/' } = process.env;
  const env = {
    PATH,
    HOME,
    SLIPWAY_DATA_DIR: dir,
    SLIPWAY_LISTEN: `127.0.0.1:${port}`,
    SLIPWAY_ADMIN_TOKEN: token,
    SLIPWAY_REDIS_SERVER: redis,
  };
  const server = spawn(program, ['serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  server.said = '';
  const keep = (chunk) => {
    server.said = (server.said + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  server.stdout.on('data', keep);
  server.stderr.on('data', keep);
  const deadline = Date.now() + READY_MS_MAX;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the server has ended:\n${server.said}`);
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (ready?.ok) return server;
    if (Date.now() > deadline) throw new Error(`the server is not ready:\n${server.said}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A pipeline that prints, one that fails, and a run of each, to its end. */
async function prepare(url, token) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const ask = async (method, path, body) => {
    const response = await fetch(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
  const definitions = {
    build: 'steps:\n  - name: build\n    run: seq 1 300\n',
    broken: "retry:\n  attempts: 1\nsteps:\n  - name: a\n    run: 'false'\n",
  };
  for (const [name, definition] of Object.entries(definitions)) {
    await ask('POST', '/pipelines', { name, definition });
    const run = JSON.parse(await ask('POST', `/pipelines/${name}/runs`, {}));
    await ask('GET', `/runs/${run.id}/watch`);
  }
}

function run(name, file, args, env) {
  console.log(`--- ${name}`);
  const since = Date.now();
  const { status, error } = spawnSync(file, args, { cwd: here, stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) throw error;
  console.log(`--- ${name}: ${status === 0 ? 'ok' : 'FAILED'}, ${Math.round((Date.now() - since) / 1000)} s`);
  return status === 0;
}

const dir = mkdtempSync(join(tmpdir(), 'slipway-api-'));
const token = randomBytes(24).toString('hex');
let server;
let isGood = true;
try {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  server = await startServer(dir, port, token);
  await prepare(`${base}/api/v1`, token);
  const venv = join(root, '.cache/api-test/bin');
  isGood =
    run(`schemathesis, ${examples} examples an operation`, join(venv, 'schemathesis'), [
      '--config-file',
      join(here, 'schemathesis.toml'),
      'run',
      `${base}/openapi.json`,
      '--checks=all',
      `--max-examples=${examples}`,
      `--header=Authorization: Bearer ${token}`,
      ...process.argv.slice(3),
    ], { SCHEMATHESIS_HOOKS: join(here, 'hooks.py') }) && isGood;
  if (server.exitCode !== null) {
    console.error('the server has ended');
    isGood = false;
  }
  const failures = server.said.split('\n').filter((line) => /panicked| ERROR /.test(line));
  if (failures.length > 0) {
    console.error(`the server's log has failures:\n${failures.slice(0, 20).join('\n')}`);
    isGood = false;
  }
} finally {
  if (server !== undefined && server.exitCode === null) {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
}
process.exit(isGood ? 0 : 1);
