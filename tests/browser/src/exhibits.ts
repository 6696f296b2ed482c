// What the pictures show: an installation that people use, the same each time.
import type { Run } from '../../e2e/src/harness/client.js';
import type { Installation } from '../../e2e/src/harness/installation.js';
import { finish, untilStatus } from '../../e2e/src/harness/runs.js';

/** When the pictures are taken, by the clocks in them. */
export const NOW = Date.UTC(2026, 2, 2, 9, 30);

const MINUTE = 60_000;

// The two outputs of a step are read beside each other, so what an error follows is a second older.
const WEB = `steps:
  - name: build
    run: |
      for crate in serde tokio axum tower hyper rustls; do printf '\\033[1;32m   Compiling\\033[0m %s v1.0.2\\n' $crate; done
      printf '\\033[1;33mwarning\\033[0m: unused variable, see https://doc.rust-lang.org/lints\\n' >&2
  - name: unit
    needs: [build]
    run: for n in $(seq 1 40); do echo "test cases::case_$n ... ok"; done
  - name: lint
    needs: [build]
    run: echo "nothing to complain about"
  - name: integration
    needs: [unit, lint]
    retry: { attempts: 2, delay: 200ms }
    run: |
      for n in $(seq 1 20); do printf '\\033[90m[%02d]\\033[0m GET /api/%s \\033[36m200\\033[0m 12 ms\\n' $n $n; done
      if [ "\${SLIPWAY_INPUT_FAIL:-}" = yes ]; then
        sleep 1
        printf '\\033[1;31merror\\033[0m: expected 200, got 502, at src/http.rs:118\\n' >&2
        exit 1
      fi
  - name: deploy
    needs: [integration]
    run: echo deployed
retry: { attempts: 1 }
`;

const DEFINITIONS: Record<string, string> = {
  'web-api': WEB,
  billing: 'steps:\n  - name: work\n    run: seq 1 20; test "${SLIPWAY_INPUT_FAIL:-}" != yes\nretry: { attempts: 1 }\n',
  docs: 'steps:\n  - name: build\n    run: echo built\n',
  nightly: 'steps:\n  - name: soak\n    run: seq 1 20; sleep 600\n',
};

/** Gives the run that goes on. */
export async function exhibit(slipway: Installation): Promise<Run> {
  const { client } = slipway;
  for (const [name, definition] of Object.entries(DEFINITIONS)) await client.pipelines.create.mutate({ name, definition });
  const run = async (pipelineId: string, isBad: boolean, branch: string) => {
    const { id } = await client.pipelines.trigger.mutate({ pipelineId, branch, ...(isBad ? { inputs: { FAIL: 'yes' } } : {}) });
    await finish(client, id);
  };
  for (let n = 1; n <= 12; n += 1) {
    await run('web-api', n === 5 || n === 12, n === 12 ? 'retry-on-502' : 'main');
    await run('billing', n % 4 === 3, 'main');
    if (n % 3 === 0) await run('docs', false, 'main');
  }
  const live = await client.pipelines.trigger.mutate({ pipelineId: 'nightly', branch: 'main' });
  await client.people.create.mutate({ login: 'mei', name: 'Mei Lin', role: 'admin', password: 'a long password' });
  await client.people.create.mutate({ login: 'jonas', name: 'Jonas Weber', role: 'operator', password: 'a long password' });
  await client.people.create.mutate({ login: 'ci-viewer', role: 'viewer', password: 'a long password' });
  await client.secrets.set.mutate({ name: 'REGISTRY_TOKEN', value: 'of the pictures', description: 'To push images.' });
  await client.secrets.set.mutate({ name: 'DEPLOY_KEY', value: 'of the pictures', branches: ['main'] });
  await client.tokens.create.mutate({ name: 'ci', role: 'operator', expiresInDays: 90 });
  await fillHistory(slipway);
  await untilStatus(client, live.id, 'running');
  await setClocks(slipway);
  return live;
}

/** An hour of a queue that somebody uses. */
async function fillHistory(slipway: Installation): Promise<void> {
  const now = Math.floor(Date.now() / MINUTE);
  for (let ago = 1; ago <= 60; ago += 1) {
    const wave = 1 + Math.sin(ago / 7);
    const failed = ago % 11 === 0 ? 1 : 0;
    const point = {
      at: new Date((now - ago) * MINUTE).toISOString(),
      ...{ waiting: Math.round(4 * wave), active: Math.round(2 + wave), delayed: 0 },
      ...{ added: Math.round(5 * wave), completed: Math.round(5 * wave), failed, canceled: 0 },
      ...{ durationP50Ms: Math.round(8_000 + 3_000 * wave), durationP95Ms: Math.round(30_000 + 12_000 * wave) },
    };
    await slipway.askRedis(`ZADD {slipway}:history ${now - ago} '${JSON.stringify(point)}'`);
  }
}

/** How long things took and when they were differs from time to time, and the pictures are not to. */
async function setClocks(slipway: Installation): Promise<void> {
  const nth = (table: string, key: string) => `(SELECT COUNT(*) FROM ${table} AS other WHERE other.${key} > ${table}.${key})`;
  const createdAt = `${NOW} - 9 * ${MINUTE} * (1 + ${nth('runs', 'id')})`;
  await slipway.askDatabase(
    `UPDATE runs SET created_at = ${createdAt}`,
    'UPDATE runs SET started_at = created_at + 300, last_line_at = created_at + 4000',
    'UPDATE runs SET finished_at = started_at + 5000 + number * number * 7919 % 4000 WHERE finished_at IS NOT NULL',
    `UPDATE steps SET started_at = (SELECT started_at FROM runs WHERE id = run_id) + position * 900 - (name = 'lint') * 700 + (attempt - 1) * 1100
       WHERE started_at IS NOT NULL`,
    'UPDATE steps SET finished_at = started_at + 600 + position * 90 WHERE finished_at IS NOT NULL',
    `UPDATE pipelines SET created_at = ${NOW - 40 * 24 * 60 * MINUTE}, updated_at = ${NOW - 3 * 24 * 60 * MINUTE}`,
    `UPDATE people SET created_at = ${NOW - 30 * 24 * 60 * MINUTE}`,
    `UPDATE secrets SET created_at = ${NOW - 20 * 24 * 60 * MINUTE}, updated_at = ${NOW - 2 * 24 * 60 * MINUTE}`,
    `UPDATE tokens SET created_at = ${NOW - 10 * 24 * 60 * MINUTE}, expires_at = ${NOW + 80 * 24 * 60 * MINUTE} WHERE kind = 'api'`,
    `UPDATE audit SET at = ${NOW} - 3 * ${MINUTE} * ${nth('audit', 'id')}`,
    `UPDATE audit SET target_id = printf('01a1b2c3-0000-7000-8000-%012d', ${nth('audit', 'id')}) WHERE target_kind IN ('run', 'token', 'pipeline')`,
  );
}
