import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { contents, printed } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesWith } from './harness/processes.js';
import { finish, linesOf, runToEnd, trigger, unique, uniqueSeconds } from './harness/runs.js';

const SERVER_SECRET = 'what-only-the-server-may-know';

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start({ env: { DEPLOY_KEY: SERVER_SECRET } });
});
afterAll(async () => await slipway?.stop());

/** A retry on another machine, which cannot reach the workspace, begins with the first step. */
const restartsAllowed = (here: string[], elsewhere: string[]) =>
  slipway.workerCount === 1 ? [here] : [here, elsewhere];
const file = (name: string) => join(slipway.files, unique(name));

test('fifty triggers at once all run, never more than five side by side in a worker', async () => {
  const marks = file('marks');
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('many'),
    // Of the working directory, the part that says which worker has it.
    definition: script(
      `echo "+ $PWD" >> '${marks}'; sleep 0.2; echo "work $SLIPWAY_RUN_ID"; echo "- $PWD" >> '${marks}'`,
    ),
  });
  const runs = await Promise.all(
    Array.from({ length: 50 }, () => slipway.client.pipelines.trigger.mutate({ pipelineId })),
  );
  expect(runs.map((run) => run.number).sort((a, b) => a - b)).toEqual(runs.map((_, index) => index + 1));
  const ended = await Promise.all(runs.map((run) => finish(slipway.client, run.id)));
  expect(ended.map(({ state }) => state.status)).toEqual(runs.map(() => 'succeeded'));
  expect(ended.map(({ lines }) => printed(lines))).toEqual(runs.map((run) => [`work ${run.id}`]));

  const side = new Map<string, number>();
  const most = new Map<string, number>();
  for (const mark of linesOf(marks)) {
    const worker = mark.slice(2 + slipway.dir.length + 1).split('/')[0] ?? '';
    const count = (side.get(worker) ?? 0) + (mark.startsWith('+') ? 1 : -1);
    side.set(worker, count);
    most.set(worker, Math.max(most.get(worker) ?? 0, count));
  }
  expect(linesOf(marks).length).toBe(100);
  expect(most.size).toBe(slipway.workerCount);
  for (const count of most.values()) expect(count).toBeLessThanOrEqual(5);
});

describe('a step may end in any way', () => {
  test('killed by its own signal: failed, with 128 and the signal as its exit code', async () => {
    const { state, lines } = await runToEnd(slipway.client, script('echo before; kill -9 $$; echo after'));
    expect(state).toMatchObject({ status: 'failed' });
    expect(state.error).toBeTruthy();
    expect(state.steps[0]).toMatchObject({ status: 'failed', exitCode: 137 });
    expect(printed(lines)).toEqual(['before']);
  });

  test('with its own exit code', async () => {
    const { state } = await runToEnd(slipway.client, script('exit 7'));
    expect(state.steps[0]).toMatchObject({ status: 'failed', exitCode: 7 });
  });

  test('without a newline at the end', async () => {
    const { state, lines } = await runToEnd(slipway.client, script('echo whole; printf "not ended"'));
    expect(state.status).toBe('succeeded');
    expect(printed(lines)).toEqual(['whole', 'not ended']);
  });

  test('without a word', async () => {
    const { state, lines } = await runToEnd(slipway.client, script('true'));
    expect(state.status).toBe('succeeded');
    expect(printed(lines)).toEqual([]);
  });

  test('long after it has closed its output', async () => {
    const effects = file('effects');
    const { state, lines } = await runToEnd(
      slipway.client,
      script(`echo said; exec >&- 2>&-; sleep 1; echo lived >> '${effects}'`),
    );
    expect(state.status).toBe('succeeded');
    expect(printed(lines)).toEqual(['said']);
    expect(linesOf(effects)).toEqual(['lived']);
  });

  test('with children left behind, which are ended with it', async () => {
    const seconds = uniqueSeconds();
    const { state } = await runToEnd(
      slipway.client,
      script(`sleep ${seconds} & setsid sleep ${seconds} & (sleep ${seconds} &) ; echo done`),
    );
    expect(state.status).toBe('succeeded');
    expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  });

  test('with bytes that are not text, and a line of a megabyte', async () => {
    const { state, lines } = await runToEnd(
      slipway.client,
      script(`printf 'a\\377b\\000c\\n'; head -c 1000000 /dev/zero | tr '\\0' 'x'; echo; echo end`),
    );
    expect(state.status).toBe('succeeded');
    const messages = printed(lines);
    expect(messages[0]).toMatch(/^a.b.c$/u);
    expect(messages[0]).not.toContain('\0');
    expect(messages.slice(1, -1).join('').length).toBe(1_000_000);
    expect(messages.at(-1)).toBe('end');
  });
});

describe('time is limited', () => {
  test('a step that takes too long is ended, and the run has timed out', async () => {
    const seconds = uniqueSeconds();
    const { state } = await runToEnd(
      slipway.client,
      definition([{ name: 'slow', run: `echo begun; sleep ${seconds}`, timeout: '1s' }]),
    );
    expect(state.status).toBe('timed_out');
    expect(state.steps[0]?.status).toBe('timed_out');
    expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  });

  test('a run that takes too long is ended, and its steps that always run still do', async () => {
    const seconds = uniqueSeconds();
    const effects = file('effects');
    const { state } = await runToEnd(
      slipway.client,
      definition(
        [
          { name: 'slow', run: `sleep ${seconds}` },
          { name: 'next', needs: ['slow'], run: `echo next >> '${effects}'` },
          { name: 'tidy', needs: ['slow'], when: 'always', run: `echo tidy >> '${effects}'` },
        ],
        { timeout: '2s', retry: { attempts: 3 } },
      ),
    );
    expect(state).toMatchObject({ status: 'timed_out', attempt: 1 });
    expect(linesOf(effects)).toEqual(['tidy']);
    expect(processesWith(`sleep ${seconds}`)).toEqual([]);
  });
});

describe('what failed is tried again', () => {
  test('by itself: two failures, then success, in one log', async () => {
    const effects = file('effects');
    const { state, lines } = await runToEnd(
      slipway.client,
      script(`echo x >> '${effects}'; n=$(wc -l < '${effects}'); echo "try $((n))"; [ "$n" -ge 3 ]`, {
        retry: { attempts: 3, delay: '1s' },
      }),
    );
    expect(state).toMatchObject({ status: 'succeeded', attempt: 3, progress: 100 });
    expect(printed(lines)).toEqual(['try 1', 'try 2', 'try 3']);
    expect(lines.filter((line) => line.stream === 'stdout').map((line) => line.attempt)).toEqual([1, 2, 3]);
  });

  test('only so often, and only from the step that failed', async () => {
    const effects = file('effects');
    const { run, state } = await runToEnd(
      slipway.client,
      definition(
        [
          { name: 'good', run: `echo good >> '${effects}'` },
          { name: 'bad', needs: ['good'], run: `echo bad >> '${effects}'; false` },
          { name: 'never', needs: ['bad'], run: `echo never >> '${effects}'` },
          { name: 'tidy', needs: ['bad'], when: 'always', run: `echo tidy >> '${effects}'` },
        ],
        { retry: { attempts: 2, delay: '1s' } },
      ),
    );
    expect(state).toMatchObject({ status: 'failed', attempt: 2 });
    expect(
      restartsAllowed(['good', 'bad', 'bad', 'tidy'], ['good', 'bad', 'good', 'bad', 'tidy']),
    ).toContainEqual(linesOf(effects));
    const details = await slipway.client.runs.get.query({ runId: run.id });
    expect(details.earlierSteps.map((step) => [step.name, step.attempt, step.status])).toContainEqual([
      'bad',
      1,
      'failed',
    ]);
  });

  test('by runs.retry, from what failed or from the start', async () => {
    const effects = file('effects');
    const cure = file('cure');
    const { run, lines } = await runToEnd(
      slipway.client,
      definition([
        { name: 'good', run: `echo good >> '${effects}'` },
        {
          name: 'bad',
          needs: ['good'],
          run: `echo bad >> '${effects}'; [ -e '${cure}' ] || { touch '${cure}'; false; }`,
        },
      ]),
    );
    const again = await slipway.client.runs.retry.mutate({ runId: run.id, from: 'failed' });
    expect(again).toMatchObject({ id: run.id });
    const second = await finish(slipway.client, run.id);
    expect(second.state).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(contents(second.lines.slice(0, lines.length))).toEqual(contents(lines));
    const afterFailed = linesOf(effects);
    expect(restartsAllowed(['good', 'bad', 'bad'], ['good', 'bad', 'good', 'bad'])).toContainEqual(
      afterFailed,
    );

    await slipway.client.runs.retry.mutate({ runId: run.id, from: 'start' });
    const third = await finish(slipway.client, run.id);
    expect(third.state).toMatchObject({ status: 'succeeded', attempt: 3 });
    expect(contents(third.lines.slice(0, second.lines.length))).toEqual(contents(second.lines));
    expect(linesOf(effects)).toEqual([...afterFailed, 'good', 'bad']);
  });
});

describe('steps', () => {
  test('run when what they need has, side by side where nothing says otherwise', async () => {
    const meet = file('meet');
    // Each of the two waits for the other, so they end only if they run at the same time.
    const side = (own: string, other: string) =>
      `touch '${meet}-${own}'; until [ -e '${meet}-${other}' ]; do sleep 0.05; done; echo ${own}`;
    const { state, lines } = await runToEnd(
      slipway.client,
      definition([
        { name: 'last', needs: ['left', 'right'], run: 'echo last' },
        { name: 'left', needs: ['first'], run: side('left', 'right') },
        { name: 'right', needs: ['first'], run: side('right', 'left') },
        { name: 'first', run: 'echo first' },
      ]),
    );
    expect(state.status).toBe('succeeded');
    const words = printed(lines);
    expect(words[0]).toBe('first');
    expect(words.slice(1, 3).sort()).toEqual(['left', 'right']);
    expect(words[3]).toBe('last');
  });

  test('say when they run: on success, on failure, always', async () => {
    const steps = (work: string) =>
      definition([
        { name: 'work', run: work },
        { name: 'good', needs: ['work'], run: 'true' },
        { name: 'bad', needs: ['work'], when: 'failure', run: 'true' },
        { name: 'any', needs: ['work'], when: 'always', run: 'true' },
      ]);
    const statuses = async (work: string) => {
      const { state } = await runToEnd(slipway.client, steps(work));
      return [state.status, ...state.steps.map((step) => step.status)];
    };
    expect(await statuses('true')).toEqual(['succeeded', 'succeeded', 'succeeded', 'skipped', 'succeeded']);
    expect(await statuses('false')).toEqual(['failed', 'failed', 'skipped', 'succeeded', 'succeeded']);
  });

  test('see the inputs of the trigger and what the run is, and nothing of the server', async () => {
    const { run, lines } = await runToEnd(slipway.client, script('env; echo "args: $SLIPWAY_INPUT_TARGET"'), {
      inputs: { target: "it's $HOME; `id`" },
    });
    const env = printed(lines);
    expect(env).toContain("SLIPWAY_INPUT_TARGET=it's $HOME; `id`");
    expect(env).toContain("args: it's $HOME; `id`");
    expect(env).toContain(`SLIPWAY_RUN_ID=${run.id}`);
    const text = env.join('\n');
    expect(text).not.toContain(SERVER_SECRET);
    expect(text).not.toContain(slipway.adminToken);
    expect(text).not.toMatch(/^(DATABASE_URL|REDIS_URL|SLIPWAY_ADMIN_TOKEN|SLIPWAY_DATA_DIR)=/m);
  });
});

test('the same idempotency key gives the same run, and another key another', async () => {
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('idempotent'),
    definition: script('true'),
  });
  const trigger = (idempotencyKey: string) =>
    slipway.client.pipelines.trigger.mutate({ pipelineId, idempotencyKey });
  const runs = await Promise.all(Array.from({ length: 10 }, () => trigger('a')));
  expect(new Set(runs.map((run) => run.id)).size).toBe(1);
  expect((await trigger('b')).id).not.toBe(runs[0]?.id);
  const page = await slipway.client.runs.list.query({ pipelineId });
  expect(page.items.length).toBe(2);
  for (const run of page.items) await finish(slipway.client, run.id);
});

test('runs are listed page by page, newest first', async () => {
  const { id: pipelineId } = await slipway.client.pipelines.create.mutate({
    name: unique('listed'),
    definition: script('true'),
  });
  const ids: string[] = [];
  for (let count = 0; count < 7; count += 1) {
    ids.unshift((await slipway.client.pipelines.trigger.mutate({ pipelineId })).id);
  }
  const listed: string[] = [];
  let cursor: string | null | undefined;
  do {
    const page: { items: { id: string }[]; nextCursor?: string | null } =
      await slipway.client.runs.list.query({ pipelineId, limit: 3, ...(cursor ? { cursor } : {}) });
    expect(page.items.length).toBeLessThanOrEqual(3);
    listed.push(...page.items.map((run) => run.id));
    cursor = page.nextCursor;
  } while (cursor);
  expect(listed).toEqual(ids);
  for (const id of ids) await finish(slipway.client, id);
});

test('a pipeline cannot be deleted while a run of it is live', async () => {
  const run = await trigger(slipway.client, script('sleep 1000'));
  await expect(slipway.client.pipelines.delete.mutate({ pipelineId: run.pipelineId })).rejects.toMatchObject({
    data: { code: 'CONFLICT' },
  });
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  await finish(slipway.client, run.id);
  await slipway.client.pipelines.delete.mutate({ pipelineId: run.pipelineId });
  await expect(slipway.client.pipelines.get.query({ pipelineId: run.pipelineId })).rejects.toMatchObject({
    data: { code: 'NOT_FOUND' },
  });
});
