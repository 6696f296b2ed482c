// What Prometheus is told: every metric moves, has the form that Prometheus wants, and no caller can add to its series.

import { afterAll, beforeAll, expect, test } from 'vitest';

import { connect, failure, followLog } from './harness/client.js';
import { script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { freePort } from './harness/ports.js';
import { Program } from './harness/processes.js';
import { finish, runToEnd, trigger, unique } from './harness/runs.js';
import { until } from './harness/until.js';

interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: string; value: number }[];
}

let slipway: Installation;
beforeAll(async () => {
  slipway = await Installation.start();
});
afterAll(async () => await slipway?.stop());

/** Reads the text as Prometheus does, and holds it against the rules of `promtool check metrics`. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let last: Family | undefined;
  let lastName = '';
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      expect(families.has(name), `${name} is there once`).toBe(false);
      last = { type: '', help: rest, samples: [] };
      lastName = name;
      families.set(name, last);
    } else if (kind === 'TYPE') {
      expect(name).toBe(lastName);
      if (last !== undefined) last.type = rest;
    } else {
      const sample = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? ([0-9.e+-]+)$/i.exec(line);
      expect(sample, line).not.toBeNull();
      const [, sampleName = '', labels = '', value = ''] = sample ?? [];
      expect(sampleName.startsWith(lastName), `${sampleName} stands under ${lastName}`).toBe(true);
      last?.samples.push({ name: sampleName, labels, value: Number(value) });
    }
  }
  for (const [name, { type, help }] of families) {
    expect(['counter', 'gauge', 'histogram'], name).toContain(type);
    expect(help, name).not.toBe('');
    expect(name).toMatch(/^(slipway|process)_[a-z_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    expect(name).not.toMatch(/_(ms|milliseconds|kib|minutes)(_|$)/);
  }
  return families;
}

async function scrape(url = slipway.url, token: string | undefined = slipway.adminToken): Promise<string> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/metrics`, { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return await response.text();
}

function sum(families: Map<string, Family>, name: string, label = ''): number {
  const samples = families.get(name)?.samples ?? [];
  const counted = samples.filter((sample) => !sample.name.endsWith('_bucket') && !sample.name.endsWith('_sum'));
  return counted.filter(({ labels }) => labels.includes(label)).reduce((total, { value }) => total + value, 0);
}

test('what happens is counted', async () => {
  const before = parse(await scrape());
  const { run } = await runToEnd(slipway.client, script('seq 1 100; exit 3', { retry: { attempts: 2, delay: '100ms' } }));
  await runToEnd(slipway.client, script('true'));
  await slipway.client.runs.retry.mutate({ runId: run.id });
  await finish(slipway.client, run.id);
  expect((await failure(slipway.client.runs.get.query({ runId: 'none' }))).code).toBe('NOT_FOUND');
  // On several machines, the workers' own figures are theirs.
  const isAlone = slipway.machines.length === 1;
  const after = parse(await scrape());
  const rises = (name: string, label = '', by = 1) =>
    expect(sum(after, name, label) - sum(before, name, label), `${name}{${label}}`).toBeGreaterThanOrEqual(by);
  rises('slipway_calls_total', 'procedure="runs.get",code="NOT_FOUND"');
  rises('slipway_calls_total', 'procedure="pipelines.trigger",code="OK"', 2);
  rises('slipway_call_duration_seconds', 'procedure="pipelines.streamLogs"');
  rises('slipway_http_responses_total', 'status="4xx"');
  rises('slipway_log_lines_sent_total', '', 200);
  rises('slipway_run_retries_total', 'reason="asked"');
  for (const kind of ['select', 'insert', 'update']) rises('slipway_database_round_trip_seconds', `kind="${kind}"`);
  for (const kind of ['command', 'pipeline', 'script']) rises('slipway_redis_round_trip_seconds', `kind="${kind}"`, 0);
  if (isAlone) {
    rises('slipway_log_lines_written_total', '', 200);
    rises('slipway_run_retries_total', 'reason="automatic"');
    rises('slipway_run_duration_seconds', 'outcome="failed"', 2);
    rises('slipway_run_duration_seconds', 'outcome="succeeded"');
  }
  for (const dependency of ['database', 'redis']) expect(sum(after, 'slipway_up', dependency)).toBe(1);
  for (const name of ['process_resident_memory_bytes', 'process_open_fds', 'process_max_fds', 'process_threads']) {
    expect(sum(after, name), name).toBeGreaterThan(0);
  }
  expect(sum(after, 'process_cpu_seconds_total')).toBeGreaterThan(sum(before, 'process_cpu_seconds_total'));
  expect(sum(after, 'slipway_database_connections')).toBeGreaterThan(0);
  expect(sum(after, 'slipway_database_connections')).toBeLessThanOrEqual(sum(after, 'slipway_database_connections_max'));
  expect(sum(after, 'slipway_build_info')).toBe(1);
  expect(sum(after, 'slipway_workers')).toBe(slipway.workerCount);
});

test('what is in a bucket is in all above it, and in the count', async () => {
  await slipway.client.system.health.query();
  for (const [name, { type, samples }] of parse(await scrape())) {
    if (type !== 'histogram') continue;
    const series = new Map<string, number[]>();
    for (const { name: sample, labels, value } of samples) {
      const key = labels.replace(/,?le="[^"]*"/, '');
      if (sample === `${name}_bucket`) series.set(key, [...(series.get(key) ?? []), value]);
    }
    for (const [labels, buckets] of series) {
      expect(buckets, `${name}{${labels}}`).toEqual([...buckets].sort((a, b) => a - b));
      const count = samples.find((sample) => sample.name === `${name}_count` && sample.labels === labels);
      expect(buckets.at(-1), `${name}{${labels}}`).toBe(count?.value);
    }
  }
});

test('the queue and the streams are told as they are', async () => {
  const gate = unique('gate');
  const run = await trigger(slipway.client, script(`echo begun; until [ -e '${slipway.files}/${gate}' ]; do sleep 0.05; done`));
  const log = followLog(slipway.client, run.id);
  await until('the stream and the job are counted', async () => {
    const families = parse(await scrape());
    return sum(families, 'slipway_streams_open') >= 1 && sum(families, 'slipway_queue_jobs', 'state="active"') === 1;
  });
  expect(sum(parse(await scrape()), 'slipway_queue_oldest_waiting_seconds')).toBe(0);
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  await log.done;
  await until('neither is there any more', async () => {
    const families = parse(await scrape());
    return sum(families, 'slipway_streams_open') === 0 && sum(families, 'slipway_queue_jobs', 'state="active"') === 0;
  });
});

test('no caller adds a series', async () => {
  const name = unique('word').replace('-', '');
  const headers = { authorization: `Bearer ${slipway.adminToken}` };
  for (const path of [`trpc/${name}.${name}`, `api/v1/${name}`, name]) {
    await (await fetch(`${slipway.url}/${path}`, { headers })).body?.cancel();
  }
  await failure(slipway.client.runs.get.query({ runId: name }));
  await slipway.client.pipelines.create.mutate({ name, definition: script('true') });
  expect(await scrape()).not.toContain(name);
});

test('they are for those who have signed in, and at a listener of their own for whoever reaches it', async () => {
  const refused = await fetch(`${slipway.url}/metrics`);
  expect(refused.status).toBe(401);
  await refused.body?.cancel();
  const { value } = await slipway.client.tokens.create.mutate({ name: unique('prometheus'), role: 'viewer' });
  parse(await scrape(slipway.url, value));
  expect((await connect(slipway.url, value).system.health.query()).database.status).toBe('ok');
  const port = await freePort();
  const env = { ...slipway.environment('s'), SLIPWAY_METRICS_LISTEN: `127.0.0.1:${port}` };
  const worker = new Program('slipway worker', slipway.binary, ['worker'], { env, cwd: slipway.files });
  try {
    const families = await until('the worker serves them', async () => {
      worker.mustRun();
      return parse(await scrape(`http://127.0.0.1:${port}`, undefined));
    });
    expect(sum(families, 'slipway_build_info')).toBe(1);
    const elsewhere = await fetch(`http://127.0.0.1:${port}/api/v1/pipelines`);
    expect(elsewhere.status).toBe(404);
    await elsewhere.body?.cancel();
  } finally {
    expect(await worker.end('SIGTERM'), worker.output).toBe(0);
  }
});
