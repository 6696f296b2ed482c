import { describe, test } from 'vitest';

import { replay, settings } from './settings.js';
import { torture } from './torture.js';

const chosen = settings();

describe.each(chosen.kinds)('%s', (kind) => {
  test(`keeps its promises whatever breaks (${replay(chosen, kind)})`, async () => {
    await torture(kind, chosen);
  });
});
