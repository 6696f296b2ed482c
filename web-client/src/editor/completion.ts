// Completion and explanations from the published schema: the way from the document's root to the cursor, read from the
// syntax tree, is walked in the schema.

import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { syntaxTree } from '@codemirror/language';
import type { EditorState } from '@codemirror/state';
import type { EditorView, Tooltip } from '@codemirror/view';
import type { SyntaxNode } from '@lezer/common';

import schema from '../../../docs/pipeline.schema.json';
import { fieldsAt, valuesAt, descriptionAt, type Path } from './schema';

export function completions(context: CompletionContext): CompletionResult | null {
  const word = context.matchBefore(/[\w-]*/);
  if (word === null || (word.text === '' && !context.explicit)) return null;
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, word.from - line.from);
  const value = /^[\s-]*([\w-]+):\s*$/.exec(before);
  if (value !== null) {
    const path = [...pathByIndent(context.state, line.number, indentOf(line.text)), value[1] ?? ''];
    return { from: word.from, options: valuesAt(schema, path).map((label) => ({ label, type: 'enum' })) };
  }
  if (!/^[\s-]*$/.test(before)) return null;
  const path = pathByIndent(context.state, line.number, indentOf(line.text));
  const options = fieldsAt(schema, path).map(({ name, description, isMap }): Completion => {
    const completion: Completion = { label: name, type: 'property', apply: isMap ? `${name}:\n` : `${name}: ` };
    if (description !== undefined) completion.info = description;
    return completion;
  });
  return options.length === 0 ? null : { from: word.from, options };
}

/** How far in its key stands: behind the dash of an item. */
function indentOf(line: string): number {
  return /^[\s-]*/.exec(line)?.[0].length ?? 0;
}

/** The keys above, each further out than the one below. It also works where the document is not whole. */
export function pathByIndent(state: EditorState, lineNumber: number, indent: number): Path {
  const path: (string | number)[] = [];
  let limit = indent;
  // Items that begin here or further in are beside the one that was found.
  let item = indent;
  const own = state.doc.line(lineNumber).text;
  if (/^\s*-/.test(own)) {
    path.unshift(0);
    item = own.indexOf('-');
    limit = item + 1;
  }
  for (let number = lineNumber - 1; number >= 1 && limit > 0; number -= 1) {
    const { text } = state.doc.line(number);
    const found = /^(\s*)((?:-\s+)*)([\w-]+):/.exec(text);
    if (found === null) continue;
    const [, space = '', dashes = '', key = ''] = found;
    const at = space.length + dashes.length;
    if (at < limit) {
      path.unshift(key);
      limit = at;
      item = at;
    }
    if (dashes !== '' && space.length < item) {
      path.unshift(0);
      item = space.length;
      // A list may stand as far in as its key.
      limit = item + 1;
    }
  }
  return path;
}

/** What the schema says of the key under the pointer. */
export function explanation(view: EditorView, position: number): Tooltip | null {
  let node: SyntaxNode | null = syntaxTree(view.state).resolveInner(position, 1);
  while (node !== null && node.name !== 'Key') node = node.parent;
  if (node === null) return null;
  const { from, to } = node;
  const line = view.state.doc.lineAt(from);
  const key = view.state.sliceDoc(from, to);
  const description = descriptionAt(schema, [...pathByIndent(view.state, line.number, from - line.from), key]);
  if (description === undefined) return null;
  return {
    pos: from,
    end: to,
    above: true,
    create: () => {
      const dom = document.createElement('div');
      dom.className = 'cm-hint';
      dom.textContent = description;
      return { dom };
    },
  };
}
