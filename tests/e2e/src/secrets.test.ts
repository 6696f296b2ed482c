import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, lstatSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connect, failure } from './harness/client.js';
import { definition } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { supervisorsIn } from './harness/processes.js';
import { finish, runToEnd, trigger, unique, waitFor, written } from './harness/runs.js';

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

/** Everything that the installation keeps or shows, by where it is. */
async function everything(runIds: string[]): Promise<[string, Buffer][]> {
  const found: [string, Buffer][] = [];
  const walk = (dir: string) => {
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      const kind = lstatSync(path);
      if (kind.isDirectory()) walk(path);
      else if (kind.isFile()) found.push([path, readFileSync(path)]);
    }
  };
  walk(slipway.dir);
  if (slipway.databaseKind === 'postgres') {
    const tables = await slipway.askDatabase(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    for (const [table] of tables) {
      const rows = await slipway.askDatabase(`SELECT t::text FROM "${String(table)}" t`);
      found.push([`table ${String(table)}`, Buffer.from(JSON.stringify(rows) + rows.flat().join('\n'))]);
    }
  }
  found.push(['output of the server', Buffer.from(slipway.output)]);
  const { client } = slipway;
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

  const found = await everything([run.id]);
  for (const value of [token, ...lines]) expect(places(found, value)).toEqual([]);
  // The same search finds what is no secret: in the spool, in the log's way through Redis, and in answers.
  const where = places(found, control).join('\n');
  for (const place of [/spool: plain/, /\.aof: plain/, /answer about .*: plain/, /(table|slipway\.db).*: plain/]) {
    expect(where).toMatch(place);
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

test('a key that is lost is not made anew while secrets are stored under it', async () => {
  const alone = await Installation.start();
  try {
    await alone.client.secrets.set.mutate({ name: 'KEPT', value: 'kept-value-123' });
    const file = join(alone.dataDir, 'secrets.key');
    const key = readFileSync(file);
    rmSync(file);
    const refused = await failure(alone.client.secrets.set.mutate({ name: 'MORE', value: 'more-value-123' }));
    expect(refused).toMatchObject({ code: 'CONFLICT' });
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, key, { mode: 0o600 });
    await alone.client.secrets.set.mutate({ name: 'MORE', value: 'more-value-123' });
  } finally {
    await alone.stop();
  }
});
