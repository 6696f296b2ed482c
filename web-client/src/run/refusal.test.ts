import type { Me, Role, Run } from '@slipway/client';
import { expect, test } from 'vitest';

import { statuses } from '../search';
import { noCancel, noRetry } from './refusal';

const pipelineId = '01890a5d-ac96-774b-bcce-b302099a8001' as Run['pipelineId'];
const run = (status: Run['status'], logPurgedAt: Run['logPurgedAt'] = null) => ({ status, logPurgedAt, pipelineId });

function me(role: Role | null, grants: Me['grants'] = []): Me {
  return { name: 'ann', role, grants, personId: null, hasPassword: false };
}

test('what goes on is canceled once, what has ended is tried again', () => {
  const of = (refusal: typeof noCancel) => statuses.filter((status) => refusal(run(status), me('operator')) === null);
  expect(of(noCancel)).toEqual(['queued', 'waiting', 'running']);
  expect(of(noRetry)).toEqual(['succeeded', 'failed', 'canceled', 'timed_out']);
});

test('whoever is no operator of the pipeline is refused', () => {
  const elsewhere = { pipelineId: '01890a5d-ac96-774b-bcce-b302099a8002' as Run['pipelineId'], role: 'admin' as const };
  for (const who of [me('viewer'), me(null), me('viewer', [elsewhere])]) {
    expect(noCancel(run('running'), who)).toBe('role');
    expect(noRetry(run('failed'), who)).toBe('role');
  }
  for (const who of [me('operator'), me('admin'), me(null, [{ pipelineId, role: 'operator' }]), undefined]) {
    expect(noCancel(run('running'), who)).toBeNull();
    expect(noRetry(run('failed'), who)).toBeNull();
  }
});

test('a run without its log is not tried again', () => {
  const purged = run('failed', '2026-11-26T12:00:00.000Z' as Run['logPurgedAt'] & string);
  expect(noRetry(purged, me('admin'))).toBe('purged');
});
