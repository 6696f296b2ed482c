import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { gzipSync } from 'node:zlib';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { runToEnd } from './harness/runs.js';
import { until } from './harness/until.js';

/** Each attacker asks from an address of its own, by way of a proxy that the server trusts. */
const ENV = {
  SLIPWAY_TRUSTED_PROXIES: '127.0.0.1',
  SLIPWAY_REPOSITORY_HOSTS: 'git.example.com,*.example.org',
  SLIPWAY_LIMIT_SIGN_IN: '5/1h',
  SLIPWAY_LIMIT_PROBES: '3/1h',
  SLIPWAY_LIMIT_GUESSES: '5/1h',
};
const HONEST = '192.0.2.1';

let slipway: Installation;
let viewer: string;
let runId: string;
let pipelineId: string;
let session: string;

beforeAll(async () => {
  slipway = await Installation.start({ env: ENV });
  ({ value: viewer } = await slipway.client.tokens.create.mutate({ name: 'viewer', role: 'viewer' }));
  const { run } = await runToEnd(slipway.client, script('echo hello'));
  runId = run.id;
  pipelineId = run.pipelineId;
  const entered = await ask('GET', new URL(slipway.signInLink).pathname);
  session = /slipway_session=[^;]+/.exec(String(entered.headers['set-cookie']))?.[0] ?? '';
  expect(session).not.toBe('');
});
afterAll(async () => await slipway?.stop());

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

interface Sent {
  headers?: Record<string, string>;
  body?: string | Buffer;
  from?: string;
}

/** A request with exactly this path: `fetch` would tidy it. */
async function ask(method: string, path: string, { headers = {}, body, from = HONEST }: Sent = {}): Promise<Answer> {
  const request = httpRequest({
    host: '127.0.0.1',
    port: slipway.port,
    method,
    path,
    headers: { 'x-forwarded-for': from, ...headers },
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

/** Bytes as they are, and all that is answered until the server closes. */
async function talk(bytes: string): Promise<string> {
  const socket = connectSocket(slipway.port, '127.0.0.1');
  let heard = '';
  socket.on('data', (data) => (heard += data.toString()));
  const closed = new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve));
  socket.write(bytes);
  await closed;
  return heard;
}

const asAdmin = () => ({ authorization: `Bearer ${slipway.adminToken}` });
const asViewer = () => ({ authorization: `Bearer ${viewer}` });
const JSON_BODY = { 'content-type': 'application/json' };

/** A mutation as tRPC's clients send it. */
async function mutate(path: string, input: unknown, headers: Record<string, string> = asAdmin()): Promise<Answer> {
  const body = typeof input === 'string' ? input : JSON.stringify(input);
  return await ask('POST', `/trpc/${path}`, { headers: { ...JSON_BODY, ...headers }, body });
}

async function query(path: string, input: unknown, headers: Record<string, string> = asAdmin()): Promise<Answer> {
  return await ask('GET', `/trpc/${path}?input=${encodeURIComponent(JSON.stringify(input))}`, { headers });
}

interface Envelope {
  error?: { data?: { code?: string; field?: string } };
}

/** The code of a typed error, of tRPC's envelope or of a problem document. */
function code({ body }: Answer): string | undefined {
  const parsed = JSON.parse(body) as Envelope | Envelope[];
  const envelope = (Array.isArray(parsed) ? parsed[0] : parsed) as (Envelope & { code?: string }) | undefined;
  return envelope?.error?.data?.code ?? envelope?.code;
}

/** All that an attack might have changed. */
async function everything(): Promise<string> {
  const { client } = slipway;
  const [pipelines, runs, tokens] = await Promise.all([
    client.pipelines.list.query({ limit: 100 }),
    client.runs.list.query({ limit: 100 }),
    client.tokens.list.query({ limit: 100 }),
  ]);
  const lasting = tokens.items.map(({ lastUsedAt: _, ...token }) => token);
  return JSON.stringify([pipelines.items, runs.items, lasting]);
}

let before: string;
beforeEach(async () => {
  before = await everything();
});
afterEach(async () => {
  expect(await everything()).toBe(before);
});

describe('who somebody is', () => {
  test('1: a forged cookie is as none', async () => {
    const answer = await query('runs.list', {}, { cookie: 'slipway_session=slw_forged' });
    expect([answer.status, code(answer)]).toEqual([401, 'UNAUTHORIZED']);
  });

  test('2: a cookie whose last character was changed', async () => {
    const cookie = session.slice(0, -1) + (session.endsWith('A') ? 'B' : 'A');
    expect((await query('runs.list', {}, { cookie })).status).toBe(401);
  });

  test("3: a viewer's token changes nothing, one by one or in a batch", async () => {
    const one = await mutate('pipelines.delete', { pipelineId }, asViewer());
    expect([one.status, code(one)]).toEqual([403, 'FORBIDDEN']);
    const both = await mutate('runs.cancel,pipelines.delete?batch=1', { 0: { runId }, 1: { pipelineId } }, asViewer());
    expect(both.body.match(/"FORBIDDEN"/g)).toHaveLength(2);
  });

  test('4: a token in the query is none', async () => {
    const answer = await ask('GET', `/trpc/runs.list?token=${viewer}&access_token=${viewer}`);
    expect(answer.status).toBe(401);
  });

  test('5: a token after another word than Bearer', async () => {
    for (const authorization of [`Basic ${viewer}`, `Bearer`, `Bearer  `, viewer, `Bearer ${viewer} x`]) {
      expect((await query('runs.list', {}, { authorization })).status, authorization).toBe(401);
    }
  });

  test('6: a token of a megabyte costs no look-up', async () => {
    const answer = await query('runs.list', {}, { authorization: `Bearer ${'a'.repeat(30_000)}` });
    expect(answer.status).toBe(401);
  });

  test('7: a stream ticket opens one stream, once, and nothing else', async () => {
    const made = await mutate('auth.streamTicket', { path: 'pipelines.watchRun', input: { runId } }, asViewer());
    const ticket = (JSON.parse(made.body) as { result: { data: { ticket: string } } }).result.data.ticket;
    const params = encodeURIComponent(JSON.stringify({ ticket }));
    const other = await ask('GET', `/trpc/runs.list?connectionParams=${params}`);
    expect(other.status).toBe(401);
    const input = encodeURIComponent(JSON.stringify({ runId: pipelineId }));
    const otherInput = await ask('GET', `/trpc/pipelines.watchRun?connectionParams=${params}&input=${input}`);
    expect(otherInput.body).toContain('UNAUTHORIZED');
  });

  test('8: a code of the one-time link that was used', async () => {
    expect((await ask('GET', new URL(slipway.signInLink).pathname)).status).toBe(403);
  });

  test('9: an unknown token and no token are told apart by nothing but their text', async () => {
    const unknown = await query('runs.list', {}, { authorization: 'Bearer slw_unknown' });
    const wrongAdmin = await query('runs.list', {}, { authorization: `Bearer ${slipway.adminToken.slice(0, -1)}x` });
    expect(wrongAdmin.body).toBe(unknown.body);
  });
});

describe('pages of other sites', () => {
  const withCookie = (headers: Record<string, string>) =>
    mutate('pipelines.delete', { pipelineId }, { cookie: session, ...headers });
  const host = () => `127.0.0.1:${slipway.port}`;

  test.each([
    ['10: a change without Origin', () => ({})],
    ['11: from another site', () => ({ origin: 'https://evil.example' })],
    ['12: from a page without origin', () => ({ origin: 'null' })],
    ['13: from another port of this machine', () => ({ origin: 'http://127.0.0.1:1' })],
    ['14: that browsers call same-site', () => ({ origin: `http://${host()}`, 'sec-fetch-site': 'same-site' })],
    ['15: that browsers call cross-site', () => ({ origin: `http://${host()}`, 'sec-fetch-site': 'cross-site' })],
  ])('%s', async (_, headers) => {
    const answer = await withCookie(headers());
    expect([answer.status, code(answer)]).toEqual([403, 'FORBIDDEN']);
  });

  test('16: a form of another site, which can send text', async () => {
    const headers = { cookie: session, 'content-type': 'text/plain', origin: 'https://evil.example' };
    const answer = await ask('POST', '/trpc/pipelines.delete', { headers, body: JSON.stringify({ pipelineId }) });
    expect([403, 415]).toContain(answer.status);
  });

  test('17: a change by GET', async () => {
    const answer = await query('pipelines.delete', { pipelineId }, { cookie: session });
    expect([answer.status, code(answer)]).toEqual([405, 'METHOD_NOT_SUPPORTED']);
  });

  test('18: another method in a header', async () => {
    const override = { cookie: session, 'x-http-method-override': 'POST', 'x-http-method': 'DELETE' };
    expect((await query('pipelines.delete', { pipelineId }, override)).status).toBe(405);
    expect((await ask('GET', `/api/v1/pipelines/${pipelineId}?_method=DELETE`, { headers: override })).status).toBeLessThan(500);
  });

  test('19: what another site asks for is not readable there, nor framed', async () => {
    for (const path of ['/', '/docs', '/healthz', '/trpc/runs.list', '/api/v1/runs', '/nothing']) {
      const { headers } = await ask('GET', path, { headers: { origin: 'https://evil.example' } });
      expect(headers['access-control-allow-origin'], path).toBeUndefined();
      expect(headers['x-frame-options'], path).toBe('DENY');
      expect(headers['content-security-policy'], path).toContain("frame-ancestors 'none'");
      expect(headers['x-content-type-options'], path).toBe('nosniff');
      expect(headers['cross-origin-resource-policy'], path).toBe('same-origin');
      expect(headers['referrer-policy'], path).toBe('no-referrer');
      expect(headers['permissions-policy'], path).toContain('camera=()');
      expect(headers['cache-control'], path).toMatch(/no-store|no-cache/);
    }
  });

  test('20: a sign-in leads nowhere but home, whatever Host says', async () => {
    const answer = await ask('GET', '/sign-in/x?next=https://evil.example', {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    });
    expect(answer.headers.location).toBeUndefined();
    expect(answer.body).not.toContain('evil.example');
    const list = await ask('GET', '/api/v1/runs?limit=1', { headers: { host: 'evil.example', ...asViewer() } });
    expect(JSON.stringify(list.headers)).not.toContain('evil.example');
  });
});

describe('paths', () => {
  test.each([
    '/../../../../etc/passwd',
    '/..%2f..%2f..%2fetc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/assets/..%5c..%5cCargo.toml',
    '/docs/..%2f..%2f..%2fetc%2fpasswd',
    '/docs/%00index.html',
  ])('21: %s is nothing', async (path) => {
    const answer = await ask('GET', path, { from: '192.0.2.21', headers: asViewer() });
    expect([400, 404]).toContain(answer.status);
    expect(answer.body).not.toContain('root:');
  });

  test.each(['..%2f..%2fadmin-token', '%2e%2e', 'a%00b', '%0d%0aset-cookie:x=1', '....//', '%ff'])(
    '22: a log by the name %s',
    async (name) => {
      const answer = await ask('GET', `/api/v1/runs/${name}/logs`, { headers: { ...asViewer(), accept: 'text/plain' } });
      expect([400, 404]).toContain(answer.status);
      expect(code(answer)).toMatch(/BAD_REQUEST|NOT_FOUND/);
      expect(answer.headers['set-cookie']).toBeUndefined();
    },
  );
});

describe('what reaches git', () => {
  const create = (fields: Record<string, unknown>) => mutate('pipelines.create', { name: 'attack', ...fields });

  test.each([
    '--upload-pack=touch /tmp/x',
    'ext::sh -c "id"',
    'fd::17',
    'ssh://-oProxyCommand=id/x',
    'git@-oProxyCommand=id:x',
    'https://git.example.com/a\r\nHost: evil',
    'https://me:secret@git.example.com/a',
  ])('23: the repository %s', async (repository) => {
    const answer = await create({ repository });
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test.each(['--upload-pack=id', '-x', 'a..b', 'a\u001b[31mb', 'a\nb', 'a b', 'refs/../x', 'a\u0000b'])(
    '24: the branch %j',
    async (branch) => {
      const answer = await mutate('pipelines.trigger', { pipelineId, branch });
      expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
    },
  );

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/a',
    'http://0xa9.0xfe.0xa9.0xfe/a',
    'http://[::ffff:169.254.169.254]/a',
    'http://127.0.0.1:6379/a',
    'http://2130706433/a',
    'http://[::1]/a',
    'http://localhost/a',
    'http://git.example.com@127.0.0.1/a',
    'https://git.example.com.evil.example/a',
    'file:///etc',
    '/etc',
  ])('25: the repository %s, where none is allowed', async (repository) => {
    const answer = await create({ repository });
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
    expect(answer.body).toContain('"field":"repository"');
  });
});

describe('texts', () => {
  test.each(['a\r\nset-cookie: x=1', 'a\u202eb', 'a\u200bb', '../a', '<b>', 'a\u0000', '\u001b]0;x\u0007'])(
    '26: the name %j',
    async (name) => {
      const answer = await mutate('pipelines.create', { name, definition: script('true') });
      expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
      expect(answer.headers['set-cookie']).toBeUndefined();
    },
  );

  test.each(["'", "' OR '1'='1", "'; DROP TABLE runs; --", '%', '_', '\\', '${7*7}', "' UNION SELECT hash FROM tokens --"])(
    '27: %j in every filter of every list',
    async (text) => {
      const asked = [
        query('pipelines.list', { search: text }),
        query('pipelines.list', { cursor: text }),
        query('runs.list', { pipelineId: text }),
        query('runs.list', { branch: text }),
        query('runs.list', { by: text }),
        query('runs.list', { since: text }),
        query('runs.list', { status: text }),
        query('runs.list', { cursor: text }),
        query('tokens.list', { cursor: text }),
        query('pipelines.get', { pipelineId: text }),
        query('runs.get', { runId: text }),
      ];
      for (const answer of await Promise.all(asked)) {
        expect(answer.status).toBeLessThan(500);
        expect(answer.body).not.toMatch(/sqlite|postgres|syntax|no such/i);
        if (answer.status === 200) expect(answer.body).toContain('"items":[]');
      }
    },
  );

  test('28: a search that would make an expression run for ever', async () => {
    const answer = await query('pipelines.list', { search: 'a'.repeat(50) + '!' });
    expect(answer.status).toBeLessThan(500);
    const expression = await query('pipelines.list', { search: '(a+)+$' });
    expect(expression.body).toContain('"items":[]');
  });

  test.each([-1, 0, 1e9, 2 ** 63, 1.5, '20', Number.MAX_SAFE_INTEGER])('29: the limit %s', async (limit) => {
    const answer = await query('runs.list', { limit });
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test('30: a cursor that was made up', async () => {
    for (const cursor of ['x', '..', Buffer.from('{"id":0}').toString('base64url'), 'A'.repeat(5_000)]) {
      const answer = await query('runs.list', { cursor });
      expect([answer.status, code(answer)], cursor.slice(0, 20)).toEqual([400, 'BAD_REQUEST']);
    }
  });
});

describe('bombs', () => {
  const validate = async (definition: string): Promise<Answer> => mutate('pipelines.create', { name: 'bomb', definition });

  test('31: YAML of aliases upon aliases', async () => {
    const levels = Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(',')}]`);
    const answer = await validate(['a0: &a0 [x]', ...levels, 'steps: *a12'].join('\n'));
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test('32: YAML 10,000 levels deep', async () => {
    const answer = await validate(`steps: ${'['.repeat(10_000)}${']'.repeat(10_000)}`);
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test('33: one scalar of most of a megabyte', async () => {
    const answer = await validate(`steps: [{ name: a, run: "${'x'.repeat(900_000)}" }]`);
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test('34: a compressed body, which is never unpacked', async () => {
    const body = gzipSync(Buffer.alloc(10 * 1024 * 1024));
    const headers = { ...asAdmin(), ...JSON_BODY, 'content-encoding': 'gzip' };
    for (const path of ['/trpc/pipelines.create', '/api/v1/pipelines']) {
      const answer = await ask('POST', path, { headers, body });
      expect([400, 415]).toContain(answer.status);
    }
  });

  test('35: JSON 10,000 levels deep', async () => {
    const answer = await mutate('pipelines.create', `${'['.repeat(10_000)}${']'.repeat(10_000)}`);
    expect([answer.status, code(answer)]).toEqual([400, 'BAD_REQUEST']);
  });

  test('36: a body above the bound, said and unsaid', async () => {
    const body = JSON.stringify({ name: 'x', description: 'x'.repeat(2 * 1024 * 1024) });
    const answer = await mutate('pipelines.create', body);
    expect([answer.status, code(answer)]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
  });

  test('37: a batch of 10,000 calls', async () => {
    const paths = Array(2_000).fill('runs.list').join(',');
    const answer = await ask('GET', `/trpc/${paths}?batch=1&input={}`, { headers: asViewer() });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  test('38: __proto__, twice the same member, members that nobody knows', async () => {
    for (const body of [
      '{"name":"a","__proto__":{"role":"admin"}}',
      '{"name":"a","constructor":{"prototype":{}}}',
      `{"name":"attack","name":"","definition":${JSON.stringify(script('true'))}}`,
    ]) {
      const answer = await mutate('pipelines.create', body);
      expect([answer.status, code(answer)], body).toEqual([400, 'BAD_REQUEST']);
    }
  });

  test('39: too many headers, too long ones, too long an address', async () => {
    const head = `GET /healthz HTTP/1.1\r\nhost: a\r\n`;
    const many = await talk(`${head}${Array.from({ length: 500 }, (_, n) => `x-${n}: 1\r\n`).join('')}\r\n`);
    expect(many).toMatch(/^HTTP\/1.1 431 /);
    expect(await talk(`${head}x: ${'a'.repeat(1_000_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 |^$/);
    expect(await talk(`GET /${'a'.repeat(70_000)} HTTP/1.1\r\nhost: a\r\n\r\n`)).toMatch(/^HTTP\/1.1 414 |^$/);
  });
});

describe('connections', () => {
  const inside = 'GET /trpc/smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';

  test.each([
    ['a length and chunks', `content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', 'content-length: 0\r\ncontent-length: 47\r\n\r\n'],
    ['an encoding that is none', 'transfer-encoding: xchunked\r\n\r\n'],
    ['a length with a sign', 'content-length: +5\r\n\r\n'],
    ['a blank before the colon', 'content-length : 47\r\n\r\n'],
  ])('40: a request hidden in another, by %s', async (_, rest) => {
    const heard = await talk(`POST /trpc/pipelines.delete HTTP/1.1\r\nhost: a\r\n${rest}${inside}`);
    // Whatever is made of it, at most one request is answered before the connection ends, or it is malformed.
    expect(heard === '' || heard.startsWith('HTTP/1.1 4')).toBe(true);
    if (!heard.startsWith('HTTP/1.1 400')) expect(heard).not.toContain('smuggled');
  });

  test('41: HTTP/1.0, without a host, and what is no HTTP', async () => {
    expect(await talk('GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.0 200 /);
    expect(await talk('GET /healthz HTTP/9.9\r\n\r\n')).toMatch(/^HTTP\/1.1 (400|505) |^$/);
    expect(await talk('\u0016\u0003\u0001\u0002\u0000\u0001')).toMatch(/^HTTP\/1.1 400 |^$/);
  });

  test('42: TRACE, CONNECT and methods that nobody knows', async () => {
    for (const method of ['TRACE', 'PROPFIND']) {
      const answer = await ask(method, '/', { headers: { 'x-secret': 'told' } });
      expect(answer.status).toBe(405);
      expect(answer.body).not.toContain('told');
    }
    expect(await talk('CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 4/);
  });

  test('43: an upgrade to what is not spoken', async () => {
    for (const protocol of ['websocket', 'h2c']) {
      const heard = await talk(
        `GET /trpc/runs.list HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: ${protocol}\r\n` +
          'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n',
      );
      expect(heard).toMatch(/^HTTP\/1.1 401 /);
    }
  });

  test('44: streams of HTTP/2 that are opened and reset without end', async () => {
    const client = connectHttp2(slipway.url);
    let error: unknown;
    const closed = new Promise((resolve) => client.on('error', (said) => (error = said)).on('close', resolve));
    const flood = setInterval(() => {
      for (let n = 0; n < 500 && !client.destroyed; n += 1) {
        const stream = client.request({ ':path': '/healthz' });
        stream.on('error', () => undefined);
        stream.close(8);
      }
    }, 1);
    await closed;
    clearInterval(flood);
    // ENHANCE_YOUR_CALM
    expect(String(error)).toContain('error code 11');
    expect((await ask('GET', '/healthz')).status).toBe(200);
  });
});

describe('again and again', () => {
  const probe = (from: string) => ask('GET', '/wp-login.php', { from });

  test('45: who looks for ways in is shut out, and nobody else', async () => {
    const from = '192.0.2.45';
    expect((await probe(from)).status).toBe(404);
    await until('it is shut out', async () => (await probe(from)).status === 403);
    const answer = await ask('GET', '/', { from });
    expect([answer.status, answer.body]).toEqual([403, 'This address is shut out for a while.\n']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect((await ask('GET', '/healthz', { from: '192.0.2.46' })).status).toBe(200);
    // A signed-in caller of the same network goes on.
    await query('runs.list', {}, asViewer());
    expect((await ask('GET', '/trpc/runs.list', { from, headers: asViewer() })).status).toBe(200);
    expect((await ask('GET', '/trpc/runs.list', { from, headers: { cookie: session } })).status).toBe(200);
    expect((await ask('GET', '/trpc/runs.list', { from, headers: { authorization: 'Bearer x' } })).status).toBe(403);
    expect(slipway.output).toContain('An address is shut out');
  });

  test('46: of IPv6, it is the network that is shut out', async () => {
    await until('it is shut out', async () => (await probe('2001:db8:0:46::1')).status === 403);
    expect((await ask('GET', '/', { from: '2001:db8:0:46:ffff::9' })).status).toBe(403);
    expect((await ask('GET', '/', { from: '2001:db8:0:47::1' })).status).not.toBe(403);
  });

  test('47: who tries token after token is shut out', async () => {
    const guess = async (token: string) =>
      (await ask('GET', '/trpc/runs.list', { from: '192.0.2.47', headers: { authorization: `Bearer ${token}` } })).status;
    const statuses: number[] = [];
    for (let n = 0; n < 8; n += 1) statuses.push(await guess(`guess-${n}`));
    expect(statuses.slice(0, 6)).toEqual(Array(6).fill(401));
    expect(statuses.at(-1)).toBe(403);
  });

  test('48: a proxy, and this machine, are never shut out', async () => {
    for (let n = 0; n < 8; n += 1) expect((await probe('127.0.0.1')).status).toBe(404);
  });

  test('49: who tries code after code to sign in is told to wait', async () => {
    const attempt = () => ask('GET', '/sign-in/guess', { from: '192.0.2.49' });
    for (let n = 0; n < 5; n += 1) expect((await attempt()).status).toBe(403);
    const { status, headers } = await attempt();
    expect(status).toBe(429);
    expect(headers['ratelimit-policy']).toBe('"sign_in";q=5;w=3600');
    expect(headers.ratelimit).toMatch(/^"sign_in";r=0;t=\d+$/);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  });

  test('50: whom a stranger claims to be changes nothing', async () => {
    const said = { 'x-forwarded-for': '127.0.0.1, 192.0.2.45', 'x-real-ip': '10.0.0.1' };
    expect((await ask('GET', '/', { headers: said })).status).toBe(403);
  });
});

test('51: all of this is in the audit trail, and no secret is', async () => {
  const { items } = await slipway.client.audit.list.query({ outcome: 'refused', limit: 100 });
  const left = items.map(({ actor, ip, action }) => `${action} ${actor ?? ip}`);
  const refused = ['pipelines.delete viewer', 'runs.cancel viewer', 'auth.signIn 192.0.2.1', 'limits.refuse 192.0.2.49'];
  const shutOut = ['192.0.2.45', '2001:db8:0:46::1', '192.0.2.47'].map((ip) => `limits.shutOut ${ip}`);
  expect(left).toEqual(expect.arrayContaining([...refused, ...shutOut]));
  for (const secret of [viewer, slipway.adminToken]) expect(JSON.stringify(items)).not.toContain(secret);
});
