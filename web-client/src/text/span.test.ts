import { expect, test } from 'vitest';

import { span } from './span';

test('what the server says of a span is said in words of the reader', () => {
  expect(span('90d', 'en')).toBe('90 days');
  expect(span('1d12h', 'en')).toBe('1 day 12 hours');
  expect(span('500ms', 'en')).toBe('500 milliseconds');
  expect(span('90d', 'zh-CN')).toBe('90天');
});
