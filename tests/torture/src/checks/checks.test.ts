import { describe, expect, test } from 'vitest';

import type { Account } from '../evidence.js';
import { RunHistory, type Line, type Sighting } from '../history.js';
import { SHAPES } from '../shapes.js';
import { cancels } from './cancels.js';
import { effects } from './effects.js';
import { check } from './index.js';
import { logs } from './logs.js';
import { watching } from './watching.js';

const QUICK = SHAPES.find(({ name }) => name === 'quick');

function seen(status: Sighting['status'], version: number, progress: number, attempt = 1): Sighting {
  return { atMs: version * 100, status, attempt, version, progress, lines: 3 };
}

function line(n: number): Line {
  return { n, timestamp: '2026-01-01T00:00:00.000Z', step: 'only', attempt: 1, stream: 'stdout', message: String(n) };
}

/** A run of one step that went as it should, and was seen from all sides. */
function sound(): Account {
  if (QUICK === undefined) throw new Error('there is no such shape');
  const plan = { atMs: 0, key: 'key', shape: QUICK, inputs: {}, isRepeated: false, subscribers: [], watchers: [] };
  const history = new RunHistory(plan, 0);
  const runId = '01a21413-500b-749f-8e52-5e2b34cdf87b';
  history.runId = runId;
  const end = seen('succeeded', 4, 100);
  history.readings.push(seen('queued', 1, 0), end);
  history.endings.push(end);
  history.watchers.push([seen('queued', 1, 0), seen('running', 2, 0), end]);
  const lines = [1, 2, 3].map(line);
  history.subscribers.push([
    { after: 0, ids: ['1-1'], lines: lines.slice(0, 1), isComplete: false },
    { after: 1, ids: ['1-2', '2-3'], lines: lines.slice(1), isComplete: true },
  ]);
  const at = '2026-01-01T00:00:00.000Z';
  const step = {
    name: 'only',
    status: 'succeeded' as const,
    exitCode: 0,
    reason: null,
    attempt: 1,
    needs: [],
    startedAt: at,
    finishedAt: at,
    firstLine: 1,
    lastLine: 3,
    firstErrorLine: null,
  };
  const run: Account['run'] = {
    id: runId,
    logPurgedAt: null,
    logPurgedBy: null,
    number: 1,
    pipelineId: runId,
    pipelineName: 'quick',
    status: 'succeeded',
    progress: 100,
    attempt: 1,
    attemptsMax: 3,
    branch: null,
    commit: null,
    inputs: {},
    trigger: { kind: 'api', by: 'admin' },
    reason: null,
    error: null,
    version: 4,
    lines: 3,
    lastLineAt: at,
    nextAttemptAt: null,
    createdAt: at,
    startedAt: at,
    finishedAt: at,
    steps: [step],
    earlierSteps: [],
  };
  const effect = { runId, step: 'only', runAttempt: 1, stepAttempt: 1 };
  return {
    history,
    run,
    attempts: [step],
    log: lines,
    effects: [
      { ...effect, what: 'begin', atMs: 200 },
      { ...effect, what: 'end', atMs: 300 },
    ],
  };
}

function violations(account: Account): string[] {
  const { history: _, run, effects } = account;
  return check({ accounts: [account], unread: [], listed: [run], effects }).map(({ rule }) => rule);
}

test('a sound run breaks no rule', () => {
  expect(violations(sound())).toEqual([]);
});

const GIVEN_UP: Line = { ...line(2), step: null, attempt: 0, stream: 'system', message: '(this line is lost: …)' };

const EARLY = seen('running', 3, 100);

test('a cancel that is answered only after a retry is a cancel', () => {
  const account = sound();
  account.history.endings.unshift({ ...seen('canceled', 2, 100), atMs: 150 });
  account.history.cancels.push({ askedMs: 100, attempt: 2 });
  for (const effect of account.effects) effect.runAttempt = 2;
  expect(cancels(account)).toEqual([]);
});

/** What may go wrong, one at a time, and which rule must say so. */
const WRONG: [string, string, (account: Account) => void][] = [
  ['runs', 'a run that has not ended', ({ run }) => Object.assign(run, { status: 'running' })],
  ['runs', 'a second run of its key', ({ history }) => history.otherIds.add('another')],
  ['runs', 'a second end', ({ history }) => history.endings.push(seen('succeeded', 9, 100, 2))],
  ['runs', 'a refusal', ({ history }) => history.refusals.push('trigger: NOT_FOUND')],
  ['runs', 'another end than its own', ({ run }) => Object.assign(run, { status: 'failed' })],
  ['runs', 'a cancel of nobody', ({ run }) => Object.assign(run, { status: 'canceled' })],
  ['runs', 'a step left open', ({ run }) => run.steps.forEach((step) => (step.status = 'running'))],
  [watching.name, 'a status that goes back', ({ history }) => history.watchers[0]?.splice(2, 0, seen('queued', 3, 0))],
  [watching.name, 'a version that falls', ({ history }) => history.watchers[0]?.splice(1, 0, seen('queued', 3, 0))],
  [watching.name, 'progress that falls', ({ history }) => history.watchers[0]?.splice(1, 0, seen('running', 2, 50))],
  [watching.name, 'progress that is 100 too early', ({ history }) => history.watchers[0]?.splice(2, 0, EARLY)],
  [watching.name, 'no end', ({ history }) => history.watchers[0]?.pop()],
  [effects.name, 'a command that did not run', (account) => (account.effects = [])],
  [effects.name, 'a command that ran twice', ({ effects }) => effects.push(...effects)],
  [effects.name, 'an attempt off the record', ({ effects }) => effects.forEach((effect) => (effect.stepAttempt = 2))],
  [logs.name, 'a line that is missing', (account) => (account.log = account.log.slice(0, 2))],
  [logs.name, 'a line that is not the last', ({ run }) => (run.lines = 4)],
  [logs.name, 'a line that a subscriber missed', ({ history }) => history.subscribers[0]?.[1]?.lines.shift()],
  [logs.name, 'a line that came twice', ({ history }) => history.subscribers[0]?.[1]?.lines.unshift(line(1))],
  [logs.name, 'a line that says something else', ({ log }) => (log[1] = { ...line(2), message: '7' })],
  [logs.name, 'a line that was given up', ({ log }) => (log[1] = GIVEN_UP)],
  [logs.name, 'an id that falls', ({ history }) => (history.subscribers[0]?.[1]?.ids.splice(0, 1, '3-2'))],
  [logs.name, 'a subscriber without an end', ({ history }) => history.subscribers[0]?.pop()],
  [cancels.name, 'a cancel that came to nothing', ({ history }) => history.cancels.push({ askedMs: 0, attempt: 1 })],
  [cancels.name, 'a step that begins after the end', ({ effects }) => effects.forEach((effect) => (effect.atMs = 500))],
];

describe('a rule finds', () => {
  test.each(WRONG)('%s: %s', (rule, _, breakIt) => {
    const account = sound();
    breakIt(account);
    expect(violations(account)).toContain(rule);
  });
});
