import type { RequestListener } from 'node:http';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { connect, failure, watch } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { Browser, CLIENT_ID, CLIENT_SECRET, SignOnProvider } from './harness/oidc.js';
import { freePort } from './harness/ports.js';
import { finish } from './harness/runs.js';
import { until } from './harness/until.js';

const PASSWORD = 'correct horse battery staple';
const CALLBACK = '/auth/oidc/callback';
/** Claims as some providers write them, who mean `true` and a number. */
const IN_WORDS = { email_verified: 'true', updated_at: '2026-11-24T08:00:00.000Z' };

let provider: SignOnProvider;
/** Gives whoever comes an account, and the role that the provider says. */
let open: Installation;
/** Knows its people already, and takes those of one domain. */
let closed: Installation;

beforeAll(async () => {
  const [port, openPort, closedPort] = [await freePort(), await freePort(), await freePort()];
  const urls = [openPort, closedPort].map((one) => `http://127.0.0.1:${one}`);
  provider = new SignOnProvider(port, urls);
  const env = {
    SLIPWAY_OIDC_ISSUER: provider.issuer,
    SLIPWAY_OIDC_CLIENT_ID: CLIENT_ID,
    SLIPWAY_OIDC_CLIENT_SECRET: CLIENT_SECRET,
    SLIPWAY_OIDC_NAME: 'Company account',
    // Each browser says where it comes from.
    SLIPWAY_TRUSTED_PROXIES: '127.0.0.1',
    SLIPWAY_LIMIT_GUESSES: '3/1h',
  };
  const roles = {
    SLIPWAY_OIDC_ROLE_CLAIM: 'groups',
    SLIPWAY_OIDC_ADMINS: 'owners',
    SLIPWAY_OIDC_OPERATORS: 'developers,testers',
    SLIPWAY_OIDC_CREATE_PEOPLE: 'true',
  };
  [open, closed] = await Promise.all([
    Installation.start({ port: openPort, env: { ...env, ...roles, SLIPWAY_PUBLIC_URL: urls[0] ?? '' } }),
    Installation.start({
      port: closedPort,
      env: { ...env, SLIPWAY_OIDC_EMAIL_DOMAINS: 'example.com', SLIPWAY_OIDC_SIGN_OUT: 'false', SLIPWAY_PUBLIC_URL: urls[1] ?? '' },
      withoutWorkers: true,
    }),
  ]);
});
afterAll(async () => {
  await Promise.all([open?.stop(), closed?.stop()]);
  await provider?.stop();
});
beforeEach(() => {
  provider.spoiling = undefined;
  provider.impostor = undefined;
  provider.describing = undefined;
});

/** Goes to the provider and back: the address that it sends the browser to. */
async function goThere(slipway: Installation, browser: Browser, who: string, next = ''): Promise<string> {
  provider.who = who;
  const started = await browser.send(`${slipway.url}/auth/oidc/start${next}`);
  const there = started.headers.get('location') ?? '';
  expect(there).toContain(`${provider.issuer}/auth?`);
  return await browser.follow(there, provider.issuer);
}

async function signOn(slipway: Installation, who: string, next = ''): Promise<{ browser: Browser; answer: Response }> {
  const browser = new Browser();
  const back = await goThere(slipway, browser, who, next);
  expect(back).toContain(`${slipway.url}${CALLBACK}?`);
  return { browser, answer: await browser.send(back) };
}

/** Who the browser is signed in as; undefined: nobody. */
async function me(slipway: Installation, browser: Browser): Promise<{ name: string; role: string | null } | undefined> {
  const response = await browser.send(`${slipway.url}/trpc/auth.me`);
  const body = (await response.json()) as { result?: { data: { name: string; role: string | null } } };
  return body.result?.data;
}

/** Where a browser is led whose session has ended here. */
async function leave(slipway: Installation, browser: Browser): Promise<string | null> {
  const answer = await browser.send(`${slipway.url}/auth/oidc/sign-out`);
  expect(answer.status).toBe(303);
  expect(browser.jar(slipway.url).has('slipway_signed_on')).toBe(false);
  return answer.headers.get('location');
}

/** What somebody reads who was not signed in. */
async function refusal(answer: Response): Promise<string> {
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  return /\/sign-in\?problem=(\w+)/.exec(await answer.text())?.[1] ?? '';
}

/** The newest sign-in of the audit trail. */
async function lastSignIn(slipway: Installation) {
  const { items } = await slipway.client.audit.list.query({ action: 'auth.signIn', limit: 1 });
  return items[0];
}

describe('single sign-on', () => {
  test('a provider that is away is no reason to wait, and the words say what to do', async () => {
    const answer = await new Browser().send(`${open.url}/auth/oidc/start`);
    expect(answer.status).toBe(503);
    const page = await answer.text();
    expect(page).toContain('Try again in some minutes');
    expect(page).toContain('/sign-in?problem=away');
    const marked = new Browser();
    marked.jar(open.url).set('slipway_signed_on', '1');
    expect(await leave(open, marked)).toBe('/auth/oidc/signed-out');
    expect((await open.doctor('s')).checks).toContainEqual(
      expect.objectContaining({ name: 'single sign-on', verdict: 'fail' }),
    );
    await provider.start();
    expect((await open.doctor('s')).checks).toContainEqual(
      expect.objectContaining({ name: 'single sign-on', verdict: 'ok' }),
    );
  });

  test('the ways to sign in are told to everybody', async () => {
    const ways = await connect(open.url, '').auth.ways.query();
    const [link, signOutLink] = ['/auth/oidc/start', '/auth/oidc/sign-out'];
    expect(ways).toEqual({ password: true, oidc: { name: 'Company account', link, signOutLink } });
    expect((await connect(closed.url, '').auth.ways.query()).oidc).toEqual({ name: 'Company account', link, signOutLink: null });
  });

  test('somebody is given an account, and at each sign-in the role that the provider says', async () => {
    provider.accounts.set('7', { preferred_username: 'Ann', name: 'Ann Lee', email: 'ann@example.com', groups: ['owners'], ...IN_WORDS });
    const first = await signOn(open, '7', '?next=/runs/1');
    expect([first.answer.status, first.answer.headers.get('location')]).toEqual([303, '/runs/1']);
    expect(await me(open, first.browser)).toMatchObject({ name: 'ann', role: 'admin' });
    expect(await open.client.people.get.query({ person: 'ann' })).toMatchObject({
      name: 'Ann Lee',
      email: 'ann@example.com',
      hasPassword: false,
      identity: { issuer: provider.issuer, subject: '7' },
    });

    provider.accounts.set('7', { preferred_username: 'somebody else', groups: ['testers', 'readers'] });
    const second = await signOn(open, '7');
    expect(second.answer.headers.get('location')).toBe('/');
    expect(await me(open, second.browser)).toMatchObject({ name: 'ann', role: 'operator' });
    // What they were is over in the other browser too.
    expect(await me(open, first.browser)).toMatchObject({ name: 'ann', role: 'operator' });
    expect(await lastSignIn(open)).toMatchObject({
      actor: 'ann',
      outcome: 'done',
      detail: 'by single sign-on, as operator',
      ip: second.browser.address,
    });
    const made = await open.client.audit.list.query({ action: 'people.create', limit: 1 });
    expect(made.items).toMatchObject([{ actor: 'ann', detail: 'by single sign-on', ip: first.browser.address }]);
  });

  test('who came in by the provider and signs out leaves it too, and comes back', async () => {
    const { browser } = await signOn(open, '7');
    const before = provider.signIns;
    await browser.send(await goThere(open, browser, '7'));
    // The provider knows them still.
    expect(provider.signIns).toBe(before);
    const headers = { accept: 'application/json', origin: open.url };
    const signedOut = await browser.send(`${open.url}/api/v1/auth/sign-out`, { method: 'POST', headers });
    expect(signedOut.status).toBe(200);
    expect(await me(open, browser)).toBeUndefined();

    const there = new URL((await leave(open, browser)) ?? '');
    expect(`${there.origin}${there.pathname}`).toBe(`${provider.issuer}/session/end`);
    expect(Object.fromEntries(there.searchParams)).toEqual({
      client_id: CLIENT_ID,
      post_logout_redirect_uri: `${open.url}/auth/oidc/signed-out`,
    });
    const asked = await (await browser.send(there.href)).text();
    const [, action = ''] = /action="([^"]+)"/.exec(asked) ?? [];
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(asked) ?? [];
    const body = new URLSearchParams({ xsrf, logout: 'yes' });
    const back = (await browser.send(action, { method: 'POST', body })).headers.get('location') ?? '';
    expect(back).toBe(`${open.url}/auth/oidc/signed-out`);
    expect((await browser.send(back)).headers.get('location')).toBe('/sign-in?signedOut=true');
    await goThere(open, browser, '7');
    expect(provider.signIns).toBe(before + 1);
  });

  test('whoever has not come in by the provider, or is not to leave it, stays here', async () => {
    const [here, off] = ['/auth/oidc/signed-out', new Browser()];
    expect(await leave(open, new Browser())).toBe(here);
    off.jar(closed.url).set('slipway_signed_on', '1');
    expect(await leave(closed, off)).toBe(here);
    // Their last sign-in was another.
    await open.client.people.create.mutate({ login: 'lea', password: PASSWORD });
    const { browser } = await signOn(open, '7');
    expect(browser.jar(open.url).has('slipway_signed_on')).toBe(true);
    const form = new URLSearchParams({ name: 'lea', password: PASSWORD });
    await browser.send(`${open.url}/sign-in`, { method: 'POST', body: form, headers: { origin: open.url } });
    expect(await me(open, browser)).toMatchObject({ name: 'lea' });
    expect(await leave(open, browser)).toBe(here);
  });

  test('who is called as somebody here is somebody else, whatever their address', async () => {
    await open.client.people.create.mutate({ login: 'bob', email: 'bob@example.com', password: PASSWORD, role: 'admin' });
    provider.accounts.set('8', { preferred_username: 'bob', email: 'bob@example.com', email_verified: true });
    const { browser } = await signOn(open, '8');
    const found = await me(open, browser);
    expect(found?.name).toMatch(/^bob-[0-9a-f]{8}$/);
    expect(found?.role).toBeNull();
    for (const name of ['admin', 'browser']) {
      provider.accounts.set(name, { preferred_username: name });
      expect((await me(open, (await signOn(open, name)).browser))?.name).toMatch(new RegExp(`^${name}-`));
    }
  });

  test('who is disabled here stays out', async () => {
    provider.accounts.set('9', { preferred_username: 'carl', groups: ['owners'] });
    const { browser } = await signOn(open, '9');
    await open.client.people.update.mutate({ person: 'carl', disabled: true });
    expect(await me(open, browser)).toBeUndefined();
    const { answer } = await signOn(open, '9');
    expect([answer.status, await refusal(answer)]).toEqual([403, 'disabled']);
  });

  test('nobody is led elsewhere', async () => {
    for (const next of ['//evil.example', 'https://evil.example', '/\\evil.example', '/\t/evil.example']) {
      const { answer } = await signOn(open, '7', `?next=${encodeURIComponent(next)}`);
      expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
    }
  });

  test('an answer is good for the browser that began, and once', async () => {
    const browser = new Browser();
    const back = await goThere(open, browser, '7');
    const cookies = new Map(browser.jar(open.url));

    const other = await new Browser().send(back);
    expect([other.status, await refusal(other)]).toEqual([400, 'stale']);
    const wrong = new URL(back);
    wrong.searchParams.set('state', 'of-another-sign-in');
    const forged = new Browser();
    for (const [name, value] of cookies) forged.jar(open.url).set(name, value);
    expect(await refusal(await forged.send(wrong.href))).toBe('stale');
    expect(forged.jar(open.url).size).toBe(0);

    expect((await browser.send(back)).status).toBe(303);
    expect(await refusal(await browser.send(back))).toBe('stale');
    // With the cookie once more, as somebody may have who reads the disk: the code was used.
    const thief = new Browser();
    for (const [name, value] of cookies) thief.jar(open.url).set(name, value);
    expect(await refusal(await thief.send(back))).toBe('unproved');
    expect((await lastSignIn(open))?.detail).toContain('it was used, or is too old');
    expect(open.output).not.toContain(new URL(back).searchParams.get('code'));
  });

  test('what the provider refuses is said, and none of its words are repeated', async () => {
    const browser = new Browser();
    const back = new URL(await goThere(open, browser, '7'));
    back.searchParams.delete('code');
    back.searchParams.set('error', 'access_denied');
    back.searchParams.set('error_description', '<script>alert(1)</script>');
    const answer = await browser.send(back.href);
    const page = await answer.text();
    expect([answer.status, page.includes('problem=denied'), page.includes('script')]).toEqual([403, true, false]);
  });

  const now = () => Math.floor(Date.now() / 1_000);
  const spoilings: [string, string, NonNullable<SignOnProvider['spoiling']>][] = [
    ['of another sign-in', 'another sign-in', { claims: (all) => ({ ...all, nonce: 'another' }) }],
    ['without a nonce', 'another sign-in', { claims: ({ nonce: _, ...all }) => all }],
    ['that has expired', 'has expired', { claims: (all) => ({ ...all, exp: now() - 120 }) }],
    ['for somebody else', 'for somebody else', { claims: (all) => ({ ...all, aud: 'another' }) }],
    ['for others too', 'for somebody else', { claims: (all) => ({ ...all, aud: [CLIENT_ID, 'another'] }) }],
    ['made for another party', 'for somebody else', { claims: (all) => ({ ...all, azp: 'another' }) }],
    ['of another issuer', 'of another issuer', { claims: (all) => ({ ...all, iss: 'https://evil.example' }) }],
    ['signed by somebody else', 'is not signed by the provider', { otherKey: true }],
  ];
  test.each(spoilings)('a token %s signs nobody in', async (_, why, spoiling) => {
    provider.spoiling = spoiling;
    const { browser, answer } = await signOn(open, '7');
    expect([answer.status, await refusal(answer)]).toEqual([403, 'unproved']);
    expect(await me(open, browser)).toBeUndefined();
    expect(await lastSignIn(open)).toMatchObject({ actor: null, outcome: 'refused' });
    expect((await lastSignIn(open))?.detail).toContain(why);
  });

  test('a token that the provider signs anew signs in: what spoils the others is not that', async () => {
    // Within what clocks may differ by.
    provider.spoiling = { claims: (all) => ({ ...all, exp: now() - 30 }) };
    const { browser } = await signOn(open, '7');
    expect(await me(open, browser)).toMatchObject({ name: 'ann' });
  });

  const impostors: [string, string, RequestListener][] = [
    ['without end', 'larger than 1048576 bytes', (_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    }],
    ['that does not come', 'timed out', (_, response) => response.write(' ')],
    ['that is a page', 'its answer to the code is none', (_, response) => response.end('<h1>Welcome</h1>')],
    ['that leads elsewhere', 'its answer to the code is none', (_, response) =>
      response.writeHead(307, { location: `${open.url}/trpc/auth.me` }).end()],
    ['that is an error', 'gives no token for the code', (_, response) =>
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_scope"}')],
    ['that breaks off', 'closed', (_, response) => response.writeHead(200, { 'content-length': 9 }).destroy()],
  ];
  test('an answer that no provider gives signs nobody in, and is not waited for', async () => {
    for (const [what, why, impostor] of impostors) {
      provider.impostor = { path: '/token', answer: impostor };
      const { browser, answer } = await signOn(open, '7');
      expect([what, answer.status, await refusal(answer)]).toEqual([what, 503, 'away']);
      expect(await me(open, browser)).toBeUndefined();
      expect((await lastSignIn(open))?.detail).toContain(why);
    }
  });

  describe('where tokens say who somebody is and no more', () => {
    beforeAll(async () => {
      provider.isTerse = true;
      await provider.changeKey();
    });
    afterAll(async () => {
      provider.isTerse = false;
      await provider.changeKey();
    });

    test('the provider is asked for the rest', async () => {
      const account = { preferred_username: 'Emil', name: 'Emil E.', email: 'emil@example.com', ...IN_WORDS };
      provider.accounts.set('30', { ...account, groups: ['owners'] });
      const { browser } = await signOn(open, '30');
      expect(await me(open, browser)).toMatchObject({ name: 'emil', role: 'admin' });
      expect(await open.client.people.get.query({ person: 'emil' })).toMatchObject({ name: 'Emil E.', email: 'emil@example.com' });
      await closed.client.people.create.mutate({ login: 'emil', role: 'viewer', subject: '30' });
      expect(await me(closed, (await signOn(closed, '30')).browser)).toMatchObject({ name: 'emil', role: 'viewer' });
      provider.accounts.set('30', { ...account, email_verified: false });
      expect(await refusal((await signOn(closed, '30')).answer)).toBe('email');
    });

    const json = (body: object): RequestListener => (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const answers: [string, number, string, string, RequestListener][] = [
      ['is about somebody else', 403, 'unproved', 'tells of somebody else', json({ sub: '7', groups: ['owners'] })],
      ['is an error', 503, 'away', 'answers 500', (_, response) => response.writeHead(500).end()],
      ['is a page', 503, 'away', 'answers 200', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
      ['names nobody', 503, 'away', 'cannot be read', json({ groups: ['owners'] })],
      ['leads elsewhere', 503, 'away', 'answers 302', (_, response) => response.writeHead(302, { location: open.url }).end()],
      ['breaks off', 503, 'away', 'closed', (_, response) => response.writeHead(200, { 'content-length': 9 }).destroy()],
    ];
    test.each(answers)('an answer that %s signs nobody in', async (_, status, problem, why, answer) => {
      provider.impostor = { path: '/me', answer };
      const signed = await signOn(open, '30');
      expect([signed.answer.status, await refusal(signed.answer)]).toEqual([status, problem]);
      expect(await me(open, signed.browser)).toBeUndefined();
      expect((await lastSignIn(open))?.detail).toContain(why);
    });

    test('a provider that cannot be asked is taken by its token', async () => {
      provider.describing = (all) => ({ ...all, userinfo_endpoint: undefined });
      await provider.changeKey();
      provider.accounts.set('31', { preferred_username: 'Fay', groups: ['owners'] });
      const { browser } = await signOn(open, '31');
      expect(await me(open, browser)).toMatchObject({ name: 'person', role: null });
    });
  });

  test('a provider that has a new key is believed again', async () => {
    await provider.changeKey();
    const { browser } = await signOn(open, '7');
    expect(await me(open, browser)).toMatchObject({ name: 'ann' });
  });

  test('nobody is led to where a provider cannot sign them out, or not safely', async () => {
    for (const place of [undefined, 'http://login.example/end']) {
      provider.describing = (all) => ({ ...all, end_session_endpoint: place });
      // With a new key, the provider is asked anew what it is.
      await provider.changeKey();
      const { browser } = await signOn(open, '7');
      expect(await leave(open, browser)).toBe('/auth/oidc/signed-out');
    }
    expect(open.output).toContain('it would have people sign out without TLS, at login.example');
  });

  test('where nobody is given an account, those are known whom an administrator has named', async () => {
    const { people } = closed.client;
    provider.accounts.set('20', { preferred_username: 'dora', email: 'dora@Example.com', ...IN_WORDS });
    const { answer } = await signOn(closed, '20');
    expect([answer.status, await refusal(answer)]).toEqual([403, 'unknown']);
    await people.create.mutate({ login: 'dora', role: 'viewer', subject: '20' });
    expect(await failure(people.create.mutate({ login: 'second', subject: '20' }))).toMatchObject({ code: 'CONFLICT' });
    // No claim decides roles here: what was given stays.
    expect(await me(closed, (await signOn(closed, '20')).browser)).toMatchObject({ name: 'dora', role: 'viewer' });

    for (const claims of [{ email_verified: false }, { email: 'dora@evil.example' }, { email: undefined }]) {
      provider.accounts.set('20', { email: 'dora@example.com', email_verified: true, ...claims });
      expect(await refusal((await signOn(closed, '20')).answer)).toBe('email');
    }
    await people.update.mutate({ person: 'dora', subject: null });
    provider.accounts.set('20', { email: 'dora@example.com', email_verified: true });
    expect(await refusal((await signOn(closed, '20')).answer)).toBe('unknown');
  });
});

describe('passwords', () => {
  const post = async (browser: Browser, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    await browser.send(`${open.url}/sign-in`, {
      method: 'POST',
      headers: {
        origin: open.url,
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        ...headers,
      },
      body: new URLSearchParams(fields).toString(),
    });
  const signIn = async (name: string, password = PASSWORD) => {
    const browser = new Browser();
    expect((await post(browser, { name, password })).headers.get('location')).toBe('/');
    return browser;
  };
  const session = (browser: Browser) => browser.jar(open.url).get('slipway_session') ?? '';
  /** A session opens as a token does, which spares the client a cookie jar. */
  const clientOf = (browser: Browser) => connect(open.url, session(browser));

  test('a form that a browser posts leads to a page, also where it is refused', async () => {
    await open.client.people.create.mutate({ login: 'eve', password: PASSWORD, role: 'operator' });
    const browser = new Browser();
    const wrong = await post(browser, { name: 'eve', password: 'wrong password' });
    expect([wrong.status, wrong.headers.get('location')]).toEqual([303, '/sign-in?problem=wrong']);
    const foreign = await post(browser, { name: 'eve', password: PASSWORD }, { origin: 'http://evil.example' });
    expect(foreign.headers.get('location')).toBe('/sign-in?problem=foreign');
    const scripted = await post(browser, { name: 'eve', password: 'wrong password' }, { accept: '*/*' });
    expect([scripted.status, await scripted.json()]).toEqual([401, { message: 'wrong name or password' }]);
    const done = await post(browser, { name: 'eve', password: PASSWORD, next: '/runs/1' });
    expect([done.status, done.headers.get('location')]).toEqual([303, '/runs/1']);
    expect(await me(open, browser)).toMatchObject({ name: 'eve' });
    const led = await post(browser, { name: 'eve', password: PASSWORD, next: '//evil.example' });
    expect(led.headers.get('location')).toBe('/');
  });

  test('an address from which too many passwords are tried is shut out, whatever the accounts', async () => {
    const browser = new Browser();
    const tries = [];
    for (let index = 0; index < 5; index += 1) {
      tries.push((await post(browser, { name: `guess-${index}`, password: PASSWORD })).status);
    }
    expect(tries).toEqual([303, 303, 303, 303, 403]);
    expect((await new Browser().send(`${open.url}/sign-in`)).status).toBe(200);
  });

  test('sessions are listed and ended one by one, and a new password ends the others', async () => {
    await open.client.people.create.mutate({ login: 'finn', password: PASSWORD, role: 'viewer' });
    const [first, second, third] = [await signIn('finn'), await signIn('finn'), await signIn('finn')];
    const { items } = await clientOf(first).auth.sessions.query();
    expect(items.map(({ current, ip }) => [current, ip])).toEqual([
      [false, third.address],
      [false, second.address],
      [true, first.address],
    ]);
    await clientOf(first).auth.revokeSession.mutate({ session: items[0]?.id ?? '' });
    expect(await me(open, third)).toBeUndefined();
    expect(await me(open, second)).toMatchObject({ name: 'finn' });

    const change = { present: PASSWORD, new: 'another horse, another staple' };
    await clientOf(second).auth.changePassword.mutate(change);
    expect(await me(open, first)).toBeUndefined();
    expect(await me(open, second)).toMatchObject({ name: 'finn' });
    const wrong = clientOf(second).auth.changePassword.mutate(change);
    expect(await failure(wrong)).toMatchObject({ code: 'BAD_REQUEST', data: { field: 'present' } });
    for (;;) {
      const refused = await failure(clientOf(second).auth.changePassword.mutate(change));
      if (refused.code === 'BAD_REQUEST') continue;
      expect(refused).toMatchObject({ code: 'TOO_MANY_REQUESTS', status: 429 });
      break;
    }
  });

  test('a session ends when it is old, and when nobody used it', async () => {
    await open.client.people.create.mutate({ login: 'gil', password: PASSWORD, role: 'viewer' });
    const [old, idle, current] = [await signIn('gil'), await signIn('gil'), await signIn('gil')];
    const [, idleId, oldId] = (await clientOf(current).auth.sessions.query()).items.map(({ id }) => id);
    const day = 24 * 60 * 60 * 1_000;
    await open.askDatabase(
      `UPDATE tokens SET expires_at = expires_at - ${30 * day} - 1 WHERE id = '${oldId}'`,
      `UPDATE tokens SET last_used_at = ${Date.now() - 7 * day - 1}, created_at = created_at - ${8 * day} WHERE id = '${idleId}'`,
      'SELECT 1',
    );
    expect([await me(open, old), await me(open, idle)]).toEqual([undefined, undefined]);
    expect(await me(open, current)).toMatchObject({ name: 'gil' });
  });

  test('open streams end with the access that opened them', async () => {
    const pipeline = await open.client.pipelines.create.mutate({ name: 'watched', definition: script('sleep 120') });
    const run = await open.client.pipelines.trigger.mutate({ pipelineId: pipeline.id });
    const grants = [{ pipelineId: pipeline.id, role: 'viewer' as const }];
    for (const login of ['hal', 'ida', 'jan']) {
      await open.client.people.create.mutate({ login, password: PASSWORD, grants });
    }
    const token = await open.client.tokens.create.mutate({ name: 'watcher', role: 'viewer' });
    const clients = [
      clientOf(await signIn('hal')),
      clientOf(await signIn('ida')),
      clientOf(await signIn('jan')),
      connect(open.url, token.value),
    ] as const;
    const watched = clients.map((client) => watch(client, run.id));
    await until('all of them watch', () => watched.every(({ items }) => items.length > 0));

    const [hal] = (await clients[0].auth.sessions.query()).items;
    await clients[0].auth.revokeSession.mutate({ session: hal?.id ?? '' });
    await open.client.people.update.mutate({ person: 'ida', disabled: true });
    await open.client.people.update.mutate({ person: 'jan', grants: [] });
    await open.client.tokens.revoke.mutate({ token: 'watcher' });
    const ends = await Promise.all(watched.map(async ({ done }) => (await failure(done)).code));
    await open.client.runs.cancel.mutate({ runId: run.id });
    await finish(open.client, run.id);
    expect(ends).toEqual(clients.map(() => 'UNAUTHORIZED'));
  });
});

describe('slipway user', () => {
  const user = async (input: string, ...args: string[]) => await open.cliWith(input, 'user', ...args);

  test('makes an account and says what it may do, and no password is in its arguments', async () => {
    expect(await user(`${PASSWORD}\n`, 'add', 'Kim', '--role', 'viewer', '--password-stdin')).toMatchObject({
      code: 0,
      output: 'Added kim\n',
    });
    await open.client.pipelines.create.mutate({ name: 'theirs', definition: script('true') });
    expect((await user('', 'grant', 'kim', 'theirs', 'operator')).output).toBe('kim: viewer, and a role in 1 pipeline\n');
    expect((await user('', 'grant', 'kim', 'theirs', 'admin')).output).toBe('kim: viewer, and a role in 1 pipeline\n');
    expect((await open.client.people.get.query({ person: 'kim' })).grants).toMatchObject([{ role: 'admin' }]);
    expect((await user('', 'ungrant', 'kim', 'theirs')).output).toBe('kim: viewer\n');
    expect((await user('', 'set-role', 'kim', 'none')).output).toBe('kim: no role\n');
    expect((await user('', 'list')).output).toMatch(/^kim +Kim|^kim +kim +no role +password +never$/m);
    expect((await user('another long password', 'reset-password', 'kim')).code).toBe(0);
    expect((await user('', 'disable', 'kim')).output).toBe('kim: disabled\n');
    expect((await user('', 'enable', 'kim')).output).toBe('kim: no role\n');
    expect((await user('short', 'reset-password', 'kim')).code).toBe(1);
    expect((await user('', 'delete', 'kim')).output).toBe('Deleted kim\n');
    expect((await user('', 'disable', 'kim')).code).toBe(1);
  });
});
