import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { expect, onTestFailed } from 'vitest';

/** Debian's; another machine may have its own elsewhere. */
const EXECUTABLE = process.env['SLIPWAY_TEST_CHROMIUM'] ?? '/usr/bin/chromium';

/** A name that is not the machine's own, so the page is not in a secure context: it has no locks, for one. */
export const PLAIN_HOST = 'slipway.lan';

const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`,
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });
}

/** The session that a server's link begins. The link is good once, so all tests of a server share it. */
export async function sessionOf(link: string): Promise<string> {
  const response = await fetch(link, { redirect: 'manual' });
  const value = /slipway_session=([^;]+)/.exec(response.headers.get('set-cookie') ?? '')?.[1];
  if (value === undefined) throw new Error(`the link signs nobody in: ${response.status}`);
  return value;
}

/** A browser of one person. Whatever a page of it complains about fails the test, unless it was announced. */
export class Person {
  readonly #complaints: string[] = [];
  readonly #announced: RegExp[] = [];

  private constructor(
    readonly context: BrowserContext,
    private readonly origin: string,
  ) {}

  static async of(browser: Browser, origin: string): Promise<Person> {
    const person = new Person(await browser.newContext({ baseURL: origin, locale: 'en-US', timezoneId: 'UTC' }), origin);
    await person.#watch(new URL(origin).host);
    // Of whoever a test makes for itself.
    if (expect.getState().currentTestName !== undefined) onTestFailed(() => person.#tell());
    return person;
  }

  /** What a page may say, since the test brings it about. */
  expectComplaint(words: RegExp): void {
    this.#announced.push(words);
  }

  /** With what `sessionOf` gave. */
  async signIn(session: string): Promise<void> {
    await this.context.addCookies([{ name: 'slipway_session', value: session, url: this.origin }]);
  }

  async open(path: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(path, { waitUntil: 'load' });
    return page;
  }

  /** Closes all, and fails if there was a complaint. */
  async leave(): Promise<void> {
    await this.context.close();
    const unannounced = this.#complaints.filter((text) => !this.#announced.some((words) => words.test(text)));
    expect(unannounced).toEqual([]);
  }

  /** What somebody would have seen who had looked on. */
  async #tell(): Promise<void> {
    const short = (texts: string[]) => texts.join(' ').replaceAll(/\s+/g, ' ').slice(0, 300);
    for (const page of this.context.pages()) {
      for (const part of ['[role=dialog]', 'body']) {
        const texts = await page.locator(part).allInnerTexts().catch((error: unknown) => [String(error)]);
        if (texts.length > 0) console.error(`page at ${page.url()}, ${part}: ${short(texts)}`);
      }
    }
    for (const complaint of this.#complaints) console.error(`page complains: ${complaint}`);
  }

  async #watch(host: string): Promise<void> {
    // A bound for what hangs; a busy machine is slow.
    this.context.setDefaultTimeout(90_000);
    const complain = (text: string) => this.#complaints.push(text);
    this.context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complain(`console: ${message.text()}`);
    });
    this.context.on('weberror', (error) => complain(`page error: ${error.error().message}`));
    this.context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.host !== host && url.protocol !== 'data:')
        complain(`request to another host: ${request.url()}`);
    });
    await this.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`policy: ${violatedDirective} ${blockedURI}`);
      });
    });
  }
}
