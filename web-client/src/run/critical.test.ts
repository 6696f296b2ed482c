import { expect, test } from 'vitest';

import { criticalPath } from './critical';

test('the critical path is what the end waited for', () => {
  const step = (name: string, seconds: number, ...needs: string[]) => ({
    name,
    needs,
    finishedAt: new Date(seconds * 1000).toISOString(),
  });
  const steps = [step('build', 5), step('quick', 6, 'build'), step('slow', 20, 'build'), step('end', 21, 'quick', 'slow')];
  expect([...criticalPath(steps)]).toEqual(['end', 'slow', 'build']);
});
