import { expect, test } from 'vitest';

import { auditSearch, ownPath, runSearch, runsSearch, signInSearch } from './search';

test.each(['/runs', '/r/1#L3', '/pipelines/a%2Fb?status=failed'])('%s is a path of this server', (path) => {
  expect(ownPath(path)).toBe(path);
});

test.each(['//evil.example', '/\\evil.example', 'https://evil.example', 'runs', '', null, '/\t/evil.example'])(
  '%j leads away, or nowhere',
  (path) => {
    expect(ownPath(path)).toBeNull();
  },
);

test('what is unknown or wrong is dropped', () => {
  expect(runsSearch({ status: 'nonsense', branch: 'main', x: 1, trigger: 2 })).toEqual({ branch: 'main' });
  expect(runsSearch({ status: 'failed', trigger: 1 })).toEqual({ status: 'failed', trigger: 1 });
  expect(runSearch({ panel: 'graph', step: 42 })).toEqual({ panel: 'graph', step: '42' });
});

test('runs are of a period or of a span of time, never of both', () => {
  const span = { since: '2026-11-25T12:00+02:00', until: '2026-11-26T12:00:00Z' };
  expect(runsSearch({ by: 'ann', ...span })).toEqual({ by: 'ann', since: '2026-11-25T10:00:00.000Z', until: '2026-11-26T12:00:00.000Z' });
  expect(runsSearch({ period: 'today', ...span })).toEqual({ period: 'today' });
  expect(runsSearch({ period: 'ever', by: 'a'.repeat(201), since: 'then' })).toEqual({});
});

test('a link to a search of a log is the whole of it', () => {
  expect(runSearch({ q: 'a'.repeat(1_000), case: 1, regex: '1' })).toEqual({ q: 'a'.repeat(1_000), case: 1, regex: 1 });
  expect(runSearch({ q: 'a', case: 0, regex: 'yes' })).toEqual({ q: 'a' });
});

test('a sign-in goes on only within this server, and names what kept someone out', () => {
  expect(signInSearch({ next: '/runs', problem: 'denied' })).toEqual({ next: '/runs', problem: 'denied' });
  expect(signInSearch({ next: '//evil.example', problem: '', signedOut: 'x' })).toEqual({});
  expect(signInSearch({ signedOut: true })).toEqual({ signedOut: true });
});

test('an audit filter keeps what the server takes, and times as moments', () => {
  const given = { actor: 'ann', outcome: 'nonsense', since: '2026-11-25T12:00+02:00', until: 'yesterday', x: 1 };
  expect(auditSearch(given)).toEqual({ actor: 'ann', since: '2026-11-25T10:00:00.000Z' });
});
