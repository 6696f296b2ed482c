// What a step leaves behind or prints, for the server or for whoever looks, to fall for.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { failure, printed } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { Repository } from './harness/repository.js';
import { finish, runToEnd, unique } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

test("51: links to what is not the step's are followed by nobody when its files are owned, kept and removed", async () => {
  const treasure = join(slipway.dir, unique('treasure'));
  mkdirSync(treasure, { mode: 0o700 });
  const file = join(treasure, 'file');
  writeFileSync(file, 'treasure', { mode: 0o600 });
  const seen = () => [file, treasure].map((path) => ({ ...statSync(path), atime: 0, atimeMs: 0, ctime: 0 }));
  const before = seen();
  const leave = [
    `if [ -L link ]; then echo again; exit 0; fi`,
    `ln -s '${file}' link; ln -s '${treasure}' dir; ln -s / root; ln '${file}' hard 2>/dev/null && echo linked`,
    `ln -s '${file}' "$TMPDIR/link"; ln -s '${treasure}' "$TMPDIR/dir"; ln -s '${treasure}' "$HOME/dir" 2>/dev/null || :`,
    '[ -L there ] && [ -L all ] || echo missing; cat link dir/file there all/file 2>/dev/null && echo stolen',
    'false',
  ].join('\n');
  const text = definition([{ name: 'leave', run: leave }], { retry: { attempts: 1 } });
  // A checkout is another user's until it is the run's.
  const repository = new Repository(join(slipway.files, unique('repository')), { 'README.md': '' });
  symlinkSync(file, join(repository.dir, 'there'));
  symlinkSync(treasure, join(repository.dir, 'all'));
  repository.commit({});
  const { run, state, lines } = await runToEnd(slipway.client, text, { repository: repository.url });
  expect(state.status).toBe('failed');
  for (const word of ['missing', 'linked', 'stolen']) expect(printed(lines)).not.toContain(word);
  expect(seen()).toEqual(before);
  // Of two workers, the other one may take the retry, and begins with a checkout of its own.
  if (slipway.workerCount > 1) return;
  // What is kept is made the run's once more.
  await slipway.client.runs.retry.mutate({ runId: run.id, from: 'failed' });
  const again = await finish(slipway.client, run.id);
  expect(again.state.status).toBe('succeeded');
  expect(printed(again.lines)).toContain('again');
  await until('the workspace is removed', () => slipway.runDirectories(run.id).length === 0);
  expect(seen()).toEqual(before);
  expect(readFileSync(file, 'utf8')).toBe('treasure');
});

test('52: a definition that is a link to a file of the server is not read', async () => {
  const treasure = join(slipway.dir, unique('definition'));
  writeFileSync(treasure, definition([{ name: 'stolen', run: 'echo stolen' }]), { mode: 0o600 });
  const repository = new Repository(join(slipway.files, unique('repository')), { 'README.md': '' });
  symlinkSync(treasure, join(repository.dir, '.slipway.yml'));
  repository.commit({});
  const { client } = slipway;
  const pipeline = await client.pipelines.create.mutate({ name: unique('pipeline'), repository: repository.url });
  const run = await client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
  const { state, lines } = await finish(client, run.id);
  expect(state.status).toBe('failed');
  expect(lines.map((line) => line.message).join('\n')).toContain('.slipway.yml is not a file');
  expect(JSON.stringify([state, lines])).not.toContain('stolen');
});

const LINES = String.raw`printf '\033[31mred\033[2J\033]0;owned\007\033[10;10H\rhidden\n'; echo '<script>alert(1)</script>'`;

test('53: HTML in a line of a log is text to a browser', async () => {
  const { run } = await runToEnd(slipway.client, script(LINES));
  for (const accept of ['text/plain', 'text/html,text/plain;q=0.9', 'application/json', '*/*']) {
    const answer = await fetch(`${slipway.url}/api/v1/runs/${run.id}/logs`, {
      headers: { authorization: `Bearer ${slipway.adminToken}`, accept },
    });
    expect(await answer.text()).toContain('alert(1)');
    expect(answer.headers.get('content-type'), accept).toMatch(/^(text\/plain|application\/json)/);
    expect(answer.headers.get('x-content-type-options'), accept).toBe('nosniff');
    expect(answer.headers.get('content-security-policy'), accept).toContain("default-src 'none'");
  }
});

test('54: what a step prints colours a terminal and moves nothing on it, and what people write does neither', async () => {
  const { client } = slipway;
  const { run } = await runToEnd(client, script(LINES));
  /** What a terminal is sent. */
  const shown = (...args: string[]) =>
    execFileSync('script', ['-qec', `"$SLIPWAY" ${args.map((arg) => `'${arg}'`).join(' ')}`, '/dev/null'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        TERM: 'xterm',
        SLIPWAY: process.env['SLIPWAY_TEST_BIN'],
        SLIPWAY_URL: slipway.url,
        SLIPWAY_TOKEN: slipway.adminToken,
      },
    });
  const log = shown('logs', run.id);
  expect(log).toContain('\u001b[31mred');
  expect(log).toContain('hidden');
  for (const sequence of ['\u001b[2J', '\u001b]0;', 'owned', '\u001b[10;10H', '\rhidden']) {
    expect(log).not.toContain(sequence);
  }
  for (const text of ['\u001b[2J', '\u009b2J', '\u001b]0;owned\u0007']) {
    for (const refused of [
      client.pipelines.create.mutate({ name: unique('pipeline'), description: text }),
      client.pipelines.create.mutate({ name: `a${text}` }),
      client.pipelines.trigger.mutate({ pipelineId: run.pipelineId, branch: `a${text}` }),
    ]) {
      expect((await failure(refused)).code).toBe('BAD_REQUEST');
    }
  }
});
