// Every test that docs/guarantees.md names exists under that name, and whatever else it links to is there.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { expect, test } from 'vitest';

const DOCS = resolve(import.meta.dirname, '../../../docs');
const text = readFileSync(join(DOCS, 'guarantees.md'), 'utf8');
const links = [...text.matchAll(/\[([^\]]+)\]\(([^)#]*)(?:#([^)]*))?\)/g)].map(([, name = '', path = '', anchor]) => ({
  name: name.replace(/\s+/g, ' '),
  path,
  anchor,
}));

/** Whether a title says this name, where what a table or a variable puts into it may be anything. */
function says(title: string, name: string): boolean {
  const parts = title.replaceAll('\\', '').split(/\$\{[^}]*\}|%[sid]|\$\w+/);
  // A title that a table alone makes says nothing.
  if (parts.every((part) => part === '')) return false;
  const pattern = parts.map((part) => part.replace(/[.*+?^${}()|[\]]/g, '\\$&')).join('.+');
  return new RegExp(`^${pattern}$`).test(name);
}

/** Whether a file has a test, a group of tests or a check of the fault harness under this name. */
function has(file: string, source: string, name: string): boolean {
  if (file.endsWith('.rs')) return source.includes(`fn ${name.replaceAll(' ', '_')}(`);
  if (file.includes('/torture/')) return new RegExp(`export (async )?function ${name}\\(`).test(source);
  const titles = source.matchAll(/(?:\b(?:test|describe|through)\b[.\w]*\(|\)\()\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g);
  return [...titles].some(([, , title = '']) => says(title, name));
}

test('docs/guarantees.md names tests that exist', () => {
  const tests = links.filter(({ path }) => /\.(ts|rs)$/.test(path));
  expect(tests.length).toBeGreaterThan(100);
  const missing = tests.filter(({ name, path }) => !has(path, readFileSync(join(DOCS, path), 'utf8'), name));
  expect(missing).toEqual([]);
});

test('docs/guarantees.md links to headings that exist', () => {
  const headings = links.filter(({ path }) => path.endsWith('.md'));
  const missing = headings.filter(({ path, anchor }) => {
    const titles = readFileSync(join(DOCS, path), 'utf8').matchAll(/^#+ (.*)$/gm);
    const anchors = [...titles].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-').replace(/[^\w-]/g, ''));
    return anchor === undefined || !anchors.includes(anchor);
  });
  expect(headings.length).toBeGreaterThan(0);
  expect(missing).toEqual([]);
});
