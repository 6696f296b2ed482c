import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect } from 'node:tls';

import { freePort } from './ports.js';
import { Program } from './processes.js';
import { until } from './until.js';

const REPOSITORY = resolve(import.meta.dirname, '../../../..');
/** As Debian ships them, unpacked by scripts/setup.sh. */
const PACKAGES = join(REPOSITORY, '.cache/proxies');

export const KINDS = ['nginx', 'haproxy', 'caddy'] as const;
export type Kind = (typeof KINDS)[number];

const FILES: Record<Kind, string> = {
  nginx: 'usr/sbin/nginx',
  haproxy: 'usr/sbin/haproxy',
  caddy: 'usr/bin/caddy',
};

/** Whether it could be fetched for this machine. */
export function isThere(kind: Kind): boolean {
  return existsSync(join(PACKAGES, FILES[kind]));
}

/** The block of this language in docs/proxies.md: what is tested is what people are told. */
function documented(language: string): string {
  const text = readFileSync(join(REPOSITORY, 'docs/proxies.md'), 'utf8');
  const block = new RegExp('^```' + language + '\\n([\\s\\S]*?)^```', 'm').exec(text)?.[1];
  if (block === undefined) throw new Error(`docs/proxies.md has no block of ${language}`);
  return block;
}

/** A text with places replaced, each of which must be there. */
function withReplaced(text: string, places: Record<string, string>): string {
  let result = text;
  for (const [place, replacement] of Object.entries(places)) {
    if (!result.includes(place)) throw new Error(`${place} is not in:\n${text}`);
    result = result.replaceAll(place, replacement);
  }
  return result;
}

/** How long the proxies' own timeouts are, in seconds, where a test makes them shorter. */
export interface Timeouts {
  idleSeconds?: number;
}

/** A real reverse proxy with a certificate of its own, in front of a port of this machine. */
export class ReverseProxy {
  private program: Program | undefined;

  private constructor(
    readonly kind: Kind,
    readonly port: number,
    private readonly dir: string,
  ) {}

  static async start(
    kind: Kind,
    parentDir: string,
    upstreamPort: number,
    timeouts: Timeouts = {},
  ): Promise<ReverseProxy> {
    const port = await freePort();
    const dir = join(parentDir, `${kind}-${port}`);
    mkdirSync(dir);
    const cert = join(dir, 'cert.pem');
    const key = join(dir, 'key.pem');
    execFileSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', key, '-out', cert],
    ], { stdio: 'ignore' });
    const proxy = new ReverseProxy(kind, port, dir);
    writeFileSync(proxy.file, settings[kind]({ dir, cert, key, port, upstreamPort, timeouts }));
    await proxy.launch();
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  private get file(): string {
    return join(this.dir, 'proxy.conf');
  }

  /** Starts it, and waits until it takes connections. */
  async launch(): Promise<void> {
    const args: Record<Kind, string[]> = {
      nginx: ['-p', this.dir, '-c', this.file, '-g', 'daemon off;'],
      haproxy: ['-db', '-f', this.file],
      caddy: ['run', '--adapter', 'caddyfile', '--config', this.file],
    };
    const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/aarch64-linux-gnu', 'lib/aarch64-linux-gnu'];
    const program = new Program(this.kind, join(PACKAGES, FILES[this.kind]), args[this.kind], {
      cwd: this.dir,
      env: {
        HOME: this.dir,
        PATH: process.env['PATH'] ?? '',
        LD_LIBRARY_PATH: libraries.map((path) => join(PACKAGES, path)).join(':'),
      },
    });
    this.program = program;
    try {
      await until(`${this.kind} takes connections`, () => {
        program.mustRun();
        return accepts(this.port);
      });
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends it at once, with all its connections. */
  async stop(): Promise<void> {
    // TERM ends nginx, with its workers, and HAProxy at once. Caddy would wait for open streams, for ever.
    await this.program?.end(this.kind === 'caddy' ? 'SIGKILL' : 'SIGTERM');
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('secureConnect', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', () => answer(false));
  });
}

interface Place {
  dir: string;
  cert: string;
  key: string;
  port: number;
  upstreamPort: number;
  timeouts: Timeouts;
}

const settings: Record<Kind, (place: Place) => string> = {
  /** Debian's nginx.conf, with its buffering, in a directory of its own. */
  nginx({ dir, cert, key, port, upstreamPort, timeouts }) {
    const site = withReplaced(documented('nginx'), {
      'listen 443 ': `listen 127.0.0.1:${port} `,
      'server_name ci.example.com': 'server_name localhost',
      '/etc/ssl/ci.example.com.pem': cert,
      '/etc/ssl/private/ci.example.com.key': key,
      '127.0.0.1:3001': `127.0.0.1:${upstreamPort}`,
    });
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temporary.map((name) => `${name}_temp_path ${dir}/${name};\n`).join('');
    const timeout =
      timeouts.idleSeconds === undefined ? '' : `proxy_read_timeout ${timeouts.idleSeconds}s;\n`;
    writeFileSync(join(dir, 'site.conf'), `${paths}${timeout}${site}`);
    return withReplaced(readFileSync(join(PACKAGES, 'etc/nginx/nginx.conf'), 'utf8'), {
      // Only root may become somebody else, and would then own no directory here.
      'user www-data;': process.getuid?.() === 0 ? 'user root;' : '',
      '/run/nginx.pid': join(dir, 'nginx.pid'),
      '/var/log/nginx/error.log': 'stderr',
      'access_log /var/log/nginx/access.log': `access_log ${dir}/access.log`,
      'include /etc/nginx/modules-enabled/*.conf;': '',
      '/etc/nginx/mime.types': join(PACKAGES, 'etc/nginx/mime.types'),
      'include /etc/nginx/conf.d/*.conf;': '',
      '/etc/nginx/sites-enabled/*': join(dir, 'site.conf'),
    });
  },

  /** The defaults of Debian's haproxy.cfg, without what needs root. */
  haproxy({ dir, cert, key, port, upstreamPort, timeouts }) {
    const both = join(dir, 'both.pem');
    writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
    const blocks = withReplaced(documented('haproxy'), {
      'bind :443 ': `bind 127.0.0.1:${port} `,
      '/etc/ssl/private/ci.example.com.pem': both,
      '127.0.0.1:3001': `127.0.0.1:${upstreamPort}`,
    });
    const packaged = readFileSync(join(PACKAGES, 'etc/haproxy/haproxy.cfg'), 'utf8');
    const defaults = packaged.slice(packaged.indexOf('defaults')).replace(/^\s*errorfile .*$/gm, '');
    const timed =
      timeouts.idleSeconds === undefined
        ? defaults
        : withReplaced(defaults, { '50000': String(timeouts.idleSeconds * 1000) });
    return `${timed}\n${blocks}`;
  },

  caddy({ cert, key, port, upstreamPort }) {
    const site = withReplaced(documented('caddyfile'), {
      'ci.example.com {': `https://127.0.0.1:${port} {\n    tls ${cert} ${key}`,
      '127.0.0.1:3001': `127.0.0.1:${upstreamPort}`,
    });
    return `{\n    admin off\n    auto_https disable_redirects\n    skip_install_trust\n}\n${site}`;
  },
};
