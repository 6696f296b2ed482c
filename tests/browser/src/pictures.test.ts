// The pictures of the documents, of real runs: `make pictures`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, test } from 'vitest';

import type { Run } from '../../e2e/src/harness/client.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { finish } from '../../e2e/src/harness/runs.js';
import { launch, Person, sessionOf } from './browser.js';
import { logOf } from './log-page.js';

const FOLDER = join(import.meta.dirname, '../../../docs/pictures');

const WEB = `steps:
  - name: checkout
    run: echo "HEAD is now at a1b2c3d fix, retry on 502"
  - name: build
    needs: [checkout]
    run: |
      for crate in serde tokio axum tower hyper rustls; do printf '\\033[1;32m   Compiling\\033[0m %s v1.0.2\\n' $crate; sleep 0.05; done
      printf '\\033[1;33mwarning\\033[0m: unused variable, see https://doc.rust-lang.org/lints\\n' >&2
      sleep 0.3
  - name: unit
    needs: [build]
    run: for n in $(seq 1 40); do echo "test cases::case_$n ... ok"; done; sleep 0.4
  - name: lint
    needs: [build]
    run: echo "nothing to complain about"; sleep 0.2
  - name: integration
    needs: [build]
    retry: { attempts: 2, delay: 200ms }
    run: |
      sleep 0.6
      for n in $(seq 1 20); do printf '\\033[90m[%02d]\\033[0m GET /api/%s \\033[36m200\\033[0m 12 ms\\n' $n $n; done
      if [ "\${SLIPWAY_INPUT_FAIL:-}" = yes ]; then
        printf '\\033[1;31merror\\033[0m: expected 200, got 502, at src/http.rs:118\\n' >&2
        exit 1
      fi
  - name: deploy
    needs: [unit, lint, integration]
    run: echo deployed; sleep 0.2
retry: { attempts: 1 }
`;

const OTHERS: Record<string, string> = {
  billing: 'steps:\n  - name: work\n    run: sleep 0.$((RANDOM % 7))2; seq 1 20; test "${SLIPWAY_INPUT_FAIL:-}" != yes\nretry: { attempts: 1 }\n',
  docs: 'steps:\n  - name: build\n    run: echo built\n',
  nightly: 'steps:\n  - name: soak\n    run: seq 1 20; sleep 600\n',
};

/** Its name, its page, and when that is whole. */
type Picture = [string, string, (page: Page) => Promise<void>];

/** Light and dark, wide and narrow. */
async function take(person: Person, [name, path, isThere]: Picture): Promise<void> {
  const page = await person.open(path);
  await page.emulateMedia({ reducedMotion: 'reduce' });
  for (const [size, width, height] of [
    ['wide', 1280, 800],
    ['narrow', 390, 800],
  ] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
      await isThere(page);
      await page.evaluate(() => document.fonts.ready.then(() => undefined));
      await page.screenshot({ path: join(FOLDER, `${name}-${size}-${colorScheme}.png`), caret: 'hide' });
    }
  }
  await page.close();
}

describe.runIf(process.env['SLIPWAY_PICTURES'])('pictures', () => {
  let slipway: Installation;
  let browser: Browser;
  let live: Run | undefined;

  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    [slipway, browser] = await Promise.all([Installation.start(), launch()]);
    const { client } = slipway;
    for (const [name, definition] of [['web-api', WEB], ...Object.entries(OTHERS)] as const)
      await client.pipelines.create.mutate({ name, definition });
    const run = async (pipelineId: string, isBad: boolean, branch: string) => {
      const { id } = await client.pipelines.trigger.mutate({ pipelineId, branch, ...(isBad ? { inputs: { FAIL: 'yes' } } : {}) });
      await finish(client, id);
    };
    for (let n = 1; n <= 12; n += 1) {
      await run('web-api', n === 5 || n === 12, n === 12 ? 'retry-on-502' : 'main');
      await run('billing', n % 4 === 3, 'main');
      if (n % 3 === 0) await run('docs', false, 'main');
    }
    live = await client.pipelines.trigger.mutate({ pipelineId: 'nightly', branch: 'main' });
    await client.people.create.mutate({ login: 'mei', name: 'Mei Lin', role: 'admin', password: 'a long password' });
    await client.people.create.mutate({ login: 'jonas', name: 'Jonas Weber', role: 'operator', password: 'a long password' });
    await client.people.create.mutate({ login: 'ci-viewer', role: 'viewer', password: 'a long password' });
    await client.secrets.set.mutate({ name: 'REGISTRY_TOKEN', value: 'of the pictures', description: 'To push images.' });
    await client.secrets.set.mutate({ name: 'DEPLOY_KEY', value: 'of the pictures', branches: ['main'] });
    await client.tokens.create.mutate({ name: 'ci', role: 'operator', expiresInDays: 90 });
    await fillHistory();
  });

  /** An hour of a queue that somebody uses. */
  async function fillHistory(): Promise<void> {
    const now = Math.floor(Date.now() / 60_000);
    for (let ago = 1; ago <= 60; ago += 1) {
      const wave = 1 + Math.sin(ago / 7);
      const failed = ago % 11 === 0 ? 1 : 0;
      const point = {
        at: new Date((now - ago) * 60_000).toISOString(),
        ...{ waiting: Math.round(4 * wave), active: Math.round(2 + wave), delayed: 0 },
        ...{ added: Math.round(5 * wave), completed: Math.round(5 * wave), failed, canceled: 0 },
        ...{ durationP50Ms: Math.round(8_000 + 3_000 * wave), durationP95Ms: Math.round(30_000 + 12_000 * wave) },
      };
      await slipway.askRedis(`ZADD {slipway}:history ${now - ago} '${JSON.stringify(point)}'`);
    }
  }
  afterAll(async () => {
    await browser?.close();
    if (live !== undefined) {
      await slipway.client.runs.cancel.mutate({ runId: live.id });
      await finish(slipway.client, live.id);
    }
    await slipway?.stop();
  });

  const atError = (page: Page) => logOf(page).getByText('error', { exact: true }).first().waitFor();
  const pictures: Picture[] = [
    ['pipelines', '/pipelines', (page) => page.getByRole('img', { name: /12 runs/ }).first().waitFor()],
    ['pipeline', '/pipelines/web-api', (page) => page.getByRole('link', { name: /#12/ }).waitFor()],
    ['run', '/pipelines/web-api/runs/12', atError],
    [
      'graph',
      '/pipelines/web-api/runs/12?panel=graph',
      (page) => page.getByRole('button', { name: /integration/ }).first().waitFor(),
    ],
    ['definition', '/pipelines/web-api/definition', (page) => page.getByText('No problems').waitFor()],
    ['trigger', '/pipelines/web-api?trigger=1', (page) => page.getByRole('dialog').waitFor()],
    ['runs', '/runs', (page) => page.getByRole('link', { name: /#12/ }).first().waitFor()],
    ['queues', '/queues', (page) => page.getByRole('img', { name: /^Runs a minute/ }).waitFor()],
    ['people', '/settings/people', (page) => page.getByRole('link', { name: 'mei' }).waitFor()],
    ['secrets', '/settings/secrets', (page) => page.getByText('REGISTRY_TOKEN').first().waitFor()],
    ['tokens', '/settings/tokens', (page) => page.getByText('ci', { exact: true }).first().waitFor()],
    ['audit', '/settings/audit', (page) => page.getByText('people.create').first().waitFor()],
    ['account', '/settings/account', (page) => page.getByRole('heading', { level: 2 }).first().waitFor()],
    ['welcome', '/welcome', (page) => page.getByRole('textbox', { name: /Definition/ }).waitFor()],
  ];
  test('of each page, light and dark, wide and narrow', async () => {
    const cookie = await sessionOf(slipway.signInLink);
    const person = await Person.of(browser, slipway.url);
    await person.signIn(cookie);
    for (const picture of pictures) await take(person, picture);
    await person.context.clearCookies();
    person.expectComplaint(/401/);
    await take(person, ['sign-in', '/sign-in', (page) => page.getByLabel('Password').waitFor()]);
    await person.leave();
  });
});
