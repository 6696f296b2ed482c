import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';

import { Provider, type JWK } from 'oidc-provider';

export const CLIENT_ID = 'slipway';
export const CLIENT_SECRET = 'a secret of the client and the provider';

/** Somebody at the provider: claims beside `sub`. */
export type Account = Record<string, unknown>;
/** Changes the claims of a token before it is signed again by the provider's key, or by another. */
export interface Spoiling {
  claims?: (claims: Record<string, unknown>) => Record<string, unknown>;
  otherKey?: boolean;
}

function keyPair(kid: string): { privateKey: KeyObject; jwk: JWK } {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' } as JWK };
}

/** npm's `oidc-provider` in this process, where whoever comes is signed in as `who` at once. */
export class SignOnProvider {
  readonly accounts = new Map<string, Account>();
  /** Who signs in next. */
  who = '';
  /** What is done to the next tokens. */
  spoiling: Spoiling | undefined;
  /** Changes what the provider says of itself. */
  describing: ((description: Record<string, unknown>) => Record<string, unknown>) | undefined;
  /** How often somebody had to sign in there. */
  signIns = 0;
  /** Answers in the provider's place where it is asked for tokens, or about somebody. */
  impostor: { path: '/token' | '/me'; answer: RequestListener } | undefined;
  /** Its tokens say who somebody is, and the rest is told when it is asked; from its next start on. */
  isTerse = false;
  private key = keyPair('one');
  private readonly otherKey = keyPair('one');
  private server: Server | undefined;

  constructor(
    readonly port: number,
    /** Of servers: public addresses. */
    private readonly urls: string[],
  ) {}

  get issuer(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const provider: Provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: CLIENT_ID,
          client_secret: CLIENT_SECRET,
          redirect_uris: this.urls.map((url) => `${url}/auth/oidc/callback`),
          post_logout_redirect_uris: this.urls.map((url) => `${url}/auth/oidc/signed-out`),
        },
      ],
      jwks: { keys: [this.key.jwk] },
      cookies: { keys: ['of the tests'] },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'updated_at', 'groups'] },
      conformIdTokenClaims: this.isTerse,
      pkce: { required: () => true },
      features: {
        devInteractions: { enabled: false },
        // Its own page has fonts from elsewhere.
        rpInitiatedLogout: {
          logoutSource: (ctx, form) => {
            ctx.body = `<!doctype html><title>Leave</title>${form}<button form="op.logoutForm" name="logout" value="yes">Leave</button>`;
          },
        },
      },
      interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...this.accounts.get(sub), sub }) }),
      loadExistingGrant: async (ctx) => {
        const { client, session } = ctx.oidc;
        const grant = new provider.Grant({ clientId: client?.clientId, accountId: session?.accountId });
        grant.addOIDCScope('openid email profile');
        await grant.save();
        return grant;
      },
    });
    provider.use(async (ctx, next) => {
      if (ctx.path.startsWith('/interaction/')) {
        this.signIns += 1;
        await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: this.who } });
        ctx.respond = false;
        return;
      }
      await next();
      if (ctx.path === '/.well-known/openid-configuration' && this.describing !== undefined)
        ctx.body = this.describing(ctx.body as Record<string, unknown>);
      const body = ctx.body as { id_token?: string } | undefined;
      if (ctx.path === '/token' && this.spoiling !== undefined && body?.id_token !== undefined) {
        ctx.body = { ...body, id_token: this.spoil(body.id_token, this.spoiling) };
      }
    });
    this.server = createServer((request, response) => {
      const answer = request.url === this.impostor?.path ? this.impostor?.answer : undefined;
      void (answer ?? provider.callback())(request, response);
    });
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    this.server?.close();
    if (this.server !== undefined) await once(this.server, 'close');
    this.server = undefined;
  }

  /** Comes back with a key of another name, and no longer knows the one before. */
  async changeKey(): Promise<void> {
    await this.stop();
    this.key = keyPair(`key ${(keys += 1)}`);
    await this.start();
  }

  private spoil(token: string, { claims = (all) => all, otherKey = false }: Spoiling): string {
    const [header = '', payload = ''] = token.split('.');
    const before = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const after = Buffer.from(JSON.stringify(claims(before))).toString('base64url');
    const { privateKey } = otherKey ? this.otherKey : this.key;
    const signature = createSign('RSA-SHA256').update(`${header}.${after}`).sign(privateKey).toString('base64url');
    return `${header}.${after}.${signature}`;
  }
}

let [addresses, keys] = [0, 0];

/** Keeps cookies by host and port, follows nothing by itself, and says to come from an address of its own. */
export class Browser {
  readonly address = `192.0.2.${(addresses += 1)}`;
  private readonly cookies = new Map<string, Map<string, string>>();

  jar(url: string): Map<string, string> {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    return jar;
  }

  async send(url: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    const jar = this.jar(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', 'x-forwarded-for': this.address, ...init.headers, ...(cookie === '' ? {} : { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  /** Goes wherever it is sent, as long as that begins with `prefix`; gives where it would go then. */
  async follow(start: string, prefix: string): Promise<string> {
    let url = start;
    for (let hops = 0; hops < 10 && url.startsWith(prefix); hops += 1) {
      const response = await this.send(url);
      const to = response.headers.get('location');
      if (to === null) throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
      url = new URL(to, url).href;
    }
    return url;
  }
}
