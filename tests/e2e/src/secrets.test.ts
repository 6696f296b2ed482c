import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { decompress } from 'fzstd';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connect, failure } from './harness/client.js';
import { definition } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { supervisorsIn } from './harness/processes.js';
import { finish, runToEnd, trigger, unique, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
  // A Redis that keeps nothing on disk could not be searched there.
  await slipway.askRedis('CONFIG SET appendonly yes');
  await slipway.client.secrets.set.mutate({ name: 'FIRST', value: 'the first makes the key' });
  // Machines share the key by its file.
  for (const machine of slipway.machines.slice(1)) {
    copyFileSync(join(slipway.dataDir, 'secrets.key'), join(slipway.dir, machine, 'secrets.key'));
  }
});
afterAll(async () => await slipway?.stop());

const random = () => randomBytes(9).toString('hex');

/** How a value may be spelt: the whole of it must be found in none of these. */
function spellings(value: string): [string, string][] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64').replace(/=+$/, '');
    // Only what no neighbour has a part in.
    return encoded.slice(offset === 0 ? 0 : offset + 1, (bytes.length + offset) % 3 === 0 ? undefined : -1);
  });
  return [
    ['plain', value],
    ...base64.map((text): [string, string] => ['base64', text]),
    ...base64.map((text): [string, string] => ['base64url', text.replaceAll('+', '-').replaceAll('/', '_')]),
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['url', encodeURIComponent(value)],
    ['json', JSON.stringify(value).slice(1, -1)],
  ];
}

/** What is archived is compressed. */
function plain(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.zst') ? Buffer.from(decompress(bytes)) : bytes;
}

/** What an installation that works has moved meanwhile is not there any more. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Everything that the installation keeps or shows, by where it is. */
async function everything(runIds: string[], from = slipway): Promise<[string, Buffer][]> {
  const found: [string, Buffer][] = [];
  const walk = (dir: string) => {
    for (const name of unlessGone(() => readdirSync(dir)) ?? []) {
      const path = join(dir, name);
      const kind = unlessGone(() => lstatSync(path));
      if (kind?.isDirectory()) walk(path);
      const bytes = kind?.isFile() ? unlessGone(() => plain(path)) : undefined;
      if (bytes !== undefined) found.push([path, bytes]);
    }
  };
  walk(from.dir);
  if (from.databaseKind === 'postgres') {
    const tables = await from.askDatabase(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    for (const [table] of tables) {
      const rows = await from.askDatabase(`SELECT t::text FROM "${String(table)}" t`);
      found.push([`table ${String(table)}`, Buffer.from(JSON.stringify(rows) + rows.flat().join('\n'))]);
    }
  }
  found.push(['output of the server', Buffer.from(from.output)]);
  const { client } = from;
  for (const runId of runIds) {
    const answers = [await client.runs.get.query({ runId }), await client.runs.logs.query({ runId, limit: 1000 })];
    for (const answer of answers) {
      const text = JSON.stringify(answer);
      found.push([`answer about ${runId}`, Buffer.from(`${text}\n${unescape(text)}`)]);
    }
  }
  found.push(['list of secrets', Buffer.from(JSON.stringify(await client.secrets.list.query({})))]);
  return found;
}

const unescape = (json: string) => json.replaceAll(String.raw`\"`, '"').replaceAll(String.raw`\\`, '\\');

function places(found: [string, Buffer][], value: string): string[] {
  return found.flatMap(([place, bytes]) =>
    spellings(value)
      .filter(([, text]) => bytes.includes(text))
      .map(([spelling]) => `${place}: ${spelling}`),
  );
}

test('a secret that a step prints in every way is nowhere but in the step', async () => {
  const token = `pa"${random()}/w+${random()}&x`;
  const lines = [`first-${random()}`, `second-${random()}`, `third-${random()}`];
  // No secret, and treated like one: the search must find it.
  const control = `control-${random()}`;
  const { client } = slipway;
  const print = [
    'echo "control $CONTROL"; echo "plain $TOKEN"; echo "error $TOKEN" >&2',
    'printf %s "$TOKEN" | base64 -w0; echo; printf x%s "$TOKEN" | base64 -w0; echo; printf xy%s "$TOKEN" | base64 -w0; echo',
    `for x in '' x xy; do printf '%s%s' "$x" "$TOKEN" | base64 -w0 | tr +/ -_; echo; done`,
    String.raw`printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \n'; echo`,
    String.raw`printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; echo`,
    String.raw`printf %s "$TOKEN" | sed 's/"/%22/g; s,/,%2F,g; s/+/%2B/g; s/&/%26/g'; echo`,
    String.raw`printf %s "$TOKEN" | sed 's/"/\\"/g'; echo`,
    // Over the borders of what is read at once.
    'half=$(printf %.20s "$TOKEN"); printf %s "$half"; sleep 0.2; printf "%s\\n" "${TOKEN#"$half"}"',
    'printf "%s\\n" "$KEY"; echo "$KEY" | while read -r line; do echo "> $line"; done',
    'env | sort; set -x; : "$TOKEN"; set +x',
    `echo ready >> ${slipway.files}/ready-${control}; ${waitFor(`${slipway.files}/go-${control}`)}`,
    'cat "/nowhere/$TOKEN" || exit 3',
  ].join('\n');
  const pipeline = await client.pipelines.create.mutate({
    name: unique('pipeline'),
    definition: definition([
      { name: 'print', run: print, secrets: ['TOKEN', { name: 'LINES', env: 'KEY' }], env: { CONTROL: control } },
      { name: 'other', run: 'echo "other ${TOKEN-has none}"', when: 'always' },
    ]),
  });
  const pipelineId = pipeline.id;
  // The pipeline's own outweighs the global one.
  await client.secrets.set.mutate({ name: 'TOKEN', value: `global-${random()}` });
  await client.secrets.set.mutate({ name: 'TOKEN', value: token, pipelineId });
  await client.secrets.set.mutate({ name: 'LINES', value: lines.join('\n') });

  const run = await client.pipelines.trigger.mutate({ pipelineId });
  await written(`${slipway.files}/ready-${control}`);
  const supervisors = slipway.machines.flatMap((machine) => supervisorsIn(join(slipway.dir, machine)));
  expect(supervisors).not.toEqual([]);
  const seen = [...slipway.pids, ...supervisors.map(({ pid }) => pid)].flatMap((pid) =>
    ['cmdline', 'environ'].map((file): [string, Buffer] => [`${file} of ${pid}`, readFileSync(`/proc/${pid}/${file}`)]),
  );
  for (const value of [token, ...lines]) expect(places(seen, value)).toEqual([]);
  writeFileSync(`${slipway.files}/go-${control}`, '');
  const { state, lines: log } = await finish(client, run.id);
  expect(state.status).toBe('failed');
  expect(state.steps[0]).toMatchObject({ status: 'failed', exitCode: 3 });
  const texts = log.map((line) => line.message);
  expect(texts).toContain('plain ***');
  expect(texts).toContain('error ***');
  expect(texts).toContain('TOKEN=***');
  expect(texts).toContain('> ***');
  expect(texts).toContain('other has none');

  await until('the log is archived', () => existsSync(join(slipway.objects, 'logs', run.id)));
  const found = await everything([run.id]);
  for (const value of [token, ...lines]) expect(places(found, value)).toEqual([]);
  // The same search finds what is no secret: in the spool, in the log's way through Redis, and in answers.
  const where = places(found, control).join('\n');
  for (const place of [/\.ndjson\.zst: plain/, /spool: plain/, /\.aof: plain/, /answer about .*: plain/, /(table|slipway\.db).*: plain/]) {
    expect(where).toMatch(place);
  }
});

test.each([
  ['with mounts of its own', {}],
  ['without', { SLIPWAY_EXECUTOR_LEAVE_OUT: 'mounts' }],
])('a secret that is asked for as a file is one, for the time of the step, %s', async (_, env: Record<string, string>) => {
  /** From outside of the step. */
  const isSeen = Object.keys(env).length > 0;
  const other = isSeen ? await Installation.start({ env }) : slipway;
  try {
    const { client } = other;
    const value = `${random()}\n${random()}`;
    await client.secrets.set.mutate({ name: 'DEPLOY_KEY', value });
    // Where the key was made by this.
    for (const machine of other === slipway ? [] : other.machines.slice(1)) {
      copyFileSync(join(other.dataDir, 'secrets.key'), join(other.dir, machine, 'secrets.key'));
    }
    const gate = `${other.files}/${unique('gate')}`;
    const asked = { name: 'DEPLOY_KEY', file: 'KEY_FILE' };
    const run = [
      'echo "path $KEY_FILE"; stat -c "mode %a %u" "$KEY_FILE" "$(dirname "$KEY_FILE")"; echo "user $(id -u)"',
      'wc -l < "$KEY_FILE"; cat "$KEY_FILE"; base64 -w0 "$KEY_FILE"; echo; env | grep -c -F "$(head -n 1 "$KEY_FILE")" || :',
      `echo "$KEY_FILE" > '${gate}.begun'; ${waitFor(gate)}; cat "$KEY_FILE"`,
    ].join('\n');
    const text = definition([
      { name: 'one', run, secrets: [asked], timeout: '2m' },
      { name: 'two', needs: ['one'], run: `find /dev/shm /tmp /var/tmp "$TMPDIR" . -name KEY_FILE 2>/dev/null | sed 's/^/left /'; echo searched` },
    ]);
    const { id } = await trigger(client, text);
    await written(`${gate}.begun`);
    const path = readFileSync(`${gate}.begun`, 'utf8').trim();
    expect(existsSync(path)).toBe(isSeen);
    // Servers and workers go and come, and the step goes on.
    await other.kill();
    await other.startPrograms();
    writeFileSync(gate, '');
    const { state, lines } = await finish(client, id);
    expect(state.status, JSON.stringify(lines)).toBe('succeeded');
    const said = lines.map((line) => line.message);
    const user = said.find((line) => line.startsWith('user '))?.slice('user '.length) ?? '';
    expect(said).toEqual(expect.arrayContaining([`path ${path}`, `mode 600 ${user}`, `mode 700 ${user}`, '2', '0', 'searched']));
    // Of both lines at once.
    expect(said.filter((line) => line === '***')).toHaveLength(2);
    expect(said.filter((line) => line.startsWith('left '))).toEqual([]);
    await until('the log is archived', () => existsSync(join(other.objects, 'logs', id)));
    const found = await everything([id], other);
    for (const line of value.split('\n')) expect(places(found, line)).toEqual([]);

    // Also when nobody is left who could remove it in time.
    const lost = await trigger(client, definition([{ name: 'lost', run: `echo "$KEY_FILE" > '${gate}.lost'; sleep 1000`, secrets: [asked] }], { retry: { attempts: 1 } }));
    await written(`${gate}.lost`);
    const left = readFileSync(`${gate}.lost`, 'utf8').trim();
    await other.kill();
    for (const { pid } of other.machines.flatMap((machine) => supervisorsIn(join(other.dir, machine)))) process.kill(pid, 'SIGKILL');
    expect(existsSync(left)).toBe(isSeen);
    await other.startPrograms();
    await client.runs.cancel.mutate({ runId: lost.id });
    await finish(client, lost.id);
    expect(existsSync(left)).toBe(false);
  } finally {
    if (other !== slipway) await other.stop();
  }
});

describe('a step that is not given its secret fails before it begins, and is not tried again', () => {
  const wants = (name: string) => ({
    name: 'work',
    run: 'echo it ran',
    secrets: [name],
    retry: { attempts: 3, delay: '1s' },
  });
  const expectRefused = async (name: string, branch: string, reason: RegExp) => {
    const text = definition([wants(name)], { retry: { attempts: 3, delay: '1s' } });
    const { state, lines } = await runToEnd(slipway.client, text, { branch });
    expect(state).toMatchObject({ status: 'failed', attempt: 1 });
    expect(state.steps[0]).toMatchObject({ status: 'failed', attempt: 1 });
    expect(state.steps[0]?.reason).toMatch(reason);
    expect(lines.map((line) => line.message)).not.toContain('it ran');
  };

  test('there is none', async () => await expectRefused('NOBODY_SET_IT', 'main', /there is no secret NOBODY_SET_IT/));

  test('it is for other branches', async () => {
    const value = `for-releases-${random()}`;
    await slipway.client.secrets.set.mutate({ name: 'RELEASES', value, branches: ['main', 'release/*'] });
    await expectRefused('RELEASES', 'feature/x', /RELEASES is withheld: it is for the branches main, release\/\*/);
    const { state } = await runToEnd(slipway.client, definition([wants('RELEASES')]), { branch: 'release/1' });
    expect(state.status).toBe('succeeded');
  });

  test('they are too large in all', async () => {
    const names = Array.from({ length: 17 }, (_, index) => `LARGE_${index + 1}`);
    for (const name of names) {
      await slipway.client.secrets.set.mutate({ name, value: name.repeat(3000).slice(0, 16_384) });
    }
    const text = definition([{ name: 'work', run: 'echo it ran', secrets: names }]);
    const { state } = await runToEnd(slipway.client, text);
    expect(state.steps[0]?.reason).toMatch(/more than 256 KiB/);
  });
});

test('the admin of a pipeline has its secrets, and not the global ones', async () => {
  const { client } = slipway;
  const { pipelineId } = await trigger(client, definition([{ name: 'work', run: 'true' }]));
  const { value: token } = await client.tokens.create.mutate({
    name: unique('admin'),
    grants: [{ pipelineId, role: 'admin' }],
  });
  const granted = connect(slipway.url, token);
  await granted.secrets.set.mutate({ name: 'OWN', value: 'own-value-123', pipelineId });
  expect((await granted.secrets.list.query({ pipelineId })).items.map(({ name }) => name)).toEqual(['OWN']);
  expect((await failure(granted.secrets.set.mutate({ name: 'GLOBAL', value: 'value-123' }))).code).toBe('FORBIDDEN');
  expect((await failure(granted.secrets.list.query({}))).code).toBe('FORBIDDEN');
});

describe('the key', () => {
  const wants = definition([{ name: 'work', run: 'echo "got ${#KEPT}"', secrets: ['KEPT'] }]);
  const expectGiven = async (from: Installation) => {
    const { state, lines } = await runToEnd(from.client, wants);
    expect(state.status, JSON.stringify(lines)).toBe('succeeded');
    expect(lines.map((line) => line.message)).toContain('got 14');
  };
  const keyIds = async (from: Installation) => (await from.askDatabase('SELECT DISTINCT key_id FROM secrets')).flat();
  const newKey = async (from: Installation) => (await from.cli('secret', 'key')).output.trim();
  const doctor = async (from: Installation) =>
    (await from.doctor('s')).checks.find(({ name }) => name === 'secrets') ?? { verdict: '', message: '' };

  test('in a file that is lost is not made anew while secrets are stored under it, and another can take its place', async () => {
    const alone = await Installation.start();
    const files = alone.machines.map((machine) => join(alone.dir, machine, 'secrets.key'));
    const [file = ''] = files;
    const write = (text: string) => {
      for (const file of files) writeFileSync(file, text, { mode: 0o600 });
    };
    try {
      expect((await doctor(alone)).message).toContain('there are none');
      await alone.client.secrets.set.mutate({ name: 'KEPT', value: 'kept-value-123' });
      const key = readFileSync(file, 'utf8');
      rmSync(file);
      const refused = await failure(alone.client.secrets.set.mutate({ name: 'MORE', value: 'more-value-123' }));
      expect(refused).toMatchObject({ code: 'CONFLICT' });
      expect(existsSync(file)).toBe(false);
      expect(await doctor(alone)).toMatchObject({ verdict: 'fail' });
      write(key);
      await alone.client.secrets.set.mutate({ name: 'MORE', value: 'more-value-123' });
      await expectGiven(alone);

      const before = await keyIds(alone);
      if (files.length > 1) {
        // One that is made here would be known nowhere else.
        const early = await alone.operate('secret', 'rotate');
        expect(early.code, early.output).toBe(1);
        expect(early.output).toContain('workers on other machines');
        write(`${await newKey(alone)}\n${key}`);
      }
      chmodSync(file, 0o640);
      expect(await doctor(alone)).toMatchObject({ verdict: 'warn', message: expect.stringContaining('mode 640') as string });
      chmodSync(file, 0o600);
      const rotated = await alone.operate('secret', 'rotate');
      expect(rotated.code, rotated.output).toBe(0);
      expect(rotated.output).toMatch(/Encrypted 2 secrets anew/);
      expect(rotated.output).toContain(`Dropped ${String(before[0])}`);
      expect(await keyIds(alone)).not.toEqual(before);
      expect(readFileSync(file, 'utf8')).not.toContain(key.trim());
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const { items } = await alone.client.audit.list.query({ action: 'secrets.rotate' });
      expect(items).toMatchObject([{ outcome: 'done', detail: '2 secrets, 1 keys dropped' }]);
      // Nobody was told, and all know it.
      await expectGiven(alone);
      await alone.client.secrets.set.mutate({ name: 'MORE', value: 'other-value-123' });
      expect(await doctor(alone)).toMatchObject({ verdict: 'ok' });
    } finally {
      await alone.stop();
    }
  });

  test('that a command gives is asked for anew when another has taken its place', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'slipway-key-'));
    const file = join(dir, 'keys');
    const alone = await Installation.start({ env: { SLIPWAY_SECRETS_KEY_COMMAND: `/bin/cat,${file}` } });
    try {
      const first = await newKey(alone);
      expect(Buffer.from(first, 'base64')).toHaveLength(32);
      expect((await failure(alone.client.secrets.set.mutate({ name: 'KEPT', value: 'kept-value-123' }))).code).toBe('INTERNAL_SERVER_ERROR');
      expect(alone.output).toContain('the program /bin/cat (secrets.key_command) failed');
      writeFileSync(file, first);
      await alone.client.secrets.set.mutate({ name: 'KEPT', value: 'kept-value-123' });
      await expectGiven(alone);
      expect(existsSync(join(alone.dataDir, 'secrets.key'))).toBe(false);
      const early = await alone.operate('secret', 'rotate');
      expect(early.code).toBe(1);
      expect(early.output).toContain('/bin/cat (secrets.key_command) gives one key');
      writeFileSync(file, `${await newKey(alone)}\n${first}`);
      expect((await doctor(alone)).message).toContain('1 secrets are under older keys');
      const rotated = await alone.operate('secret', 'rotate');
      expect(rotated.code, rotated.output).toBe(0);
      expect(rotated.output).toContain('it may go');
      // The worker was given the first key, and nothing since.
      await expectGiven(alone);
    } finally {
      await alone.stop();
      rmSync(dir, { recursive: true });
    }
  });
});
