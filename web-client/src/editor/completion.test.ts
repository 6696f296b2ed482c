import { CompletionContext } from '@codemirror/autocomplete';
import { EditorState } from '@codemirror/state';
import { describe, expect, test } from 'vitest';

import schema from '../../../docs/pipeline.schema.json';
import { completions } from './completion';
import { descriptionAt } from './schema';

/** What is offered where the bar stands. */
function offered(text: string): string[] {
  const position = text.indexOf('|');
  const state = EditorState.create({ doc: text.replace('|', '') });
  return completions(new CompletionContext(state, position, true))?.options.map(({ label }) => label) ?? [];
}

describe('where a key may stand, those of its place are offered', () => {
  const root = Object.keys(schema.properties);
  const step = Object.keys(schema.$defs.step.properties);
  test.each([
    ['|', root],
    ['st|', root],
    ['steps:\n  - n|', step],
    ['steps:\n  - name: a\n    r|', step],
    ['steps:\n- name: a\n  r|', step],
    ['steps:\n  - name: a\n    run: b\n  - |', step],
    ['steps:\n  - name: a\n    retry:\n      |', ['attempts', 'delay']],
    ['retry:\n  |', ['attempts', 'delay']],
    ['steps:\n  - name: a\n    when: |', ['success', 'failure', 'always']],
    ['steps:\n  - name: a\n    tty: |', ['true', 'false']],
    ['steps:\n  - name: a\n    env:\n      |', []],
    ['steps:\n  - name: a thing|', []],
  ])('%j', (text, expected) => {
    expect(offered(text)).toEqual(expected);
  });
});

test('a key is explained by the words of the place where it stands', () => {
  expect(descriptionAt(schema, ['steps', 0, 'timeout'])).toBe('How long the step may take: 1s to 7d.');
  expect(descriptionAt(schema, ['steps', 0, 'nonsense'])).toBeUndefined();
});
