import { expect, test } from 'vitest';

import { newPassword } from './password';

test('a password is as long as the server wants, of letters that are not mistaken, and another each time', () => {
  const made = Array.from({ length: 200 }, newPassword);
  for (const password of made) expect(password).toMatch(/^([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}$/);
  expect(new Set(made).size).toBe(made.length);
});
