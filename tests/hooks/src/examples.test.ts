// The TypeScript in the documents compiles as it stands there, and would not with a field misspelt.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const folder = import.meta.dirname;
const root = join(folder, '../../..');

/** What `tsc --strict` takes in a package of modules. */
const strict: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  jsx: ts.JsxEmit.ReactJSX,
  types: ['node'],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
};

/** A bound for what hangs: each test runs the compiler. */
const LONG = { timeout: 120_000 };

const NEWEST = 'the newest tRPC';
const HOOKS = 'the tRPC of the hooks';

/** Both versions are installed, so the compiler is told which one is meant, wherever an import stands. */
const versions = {
  [NEWEST]: { ...strict, ...paths('node_modules') },
  [HOOKS]: { ...strict, ...paths('tests/hooks/node_modules') },
};

function paths(modules: string): ts.CompilerOptions {
  const types = (name: string) => [join(root, modules, name, 'dist/index.d.mts')];
  return { paths: { '@trpc/client': types('@trpc/client'), '@trpc/server': types('@trpc/server') } };
}

/** The examples of a document. One that imports nothing goes on where the document's first has ended. */
function examples(document: string): { name: string; text: string }[] {
  const blocks = [...readFileSync(join(root, document), 'utf8').matchAll(/^```(tsx?)\n(.*?)^```$/gms)];
  const first = blocks[0]?.[2] ?? '';
  return blocks.map(([, kind = 'ts', text = ''], index) => ({
    name: `example-${index + 1}.${kind}`,
    text: text.startsWith('import ') ? text : `${first}\n${text}`,
  }));
}

/** What the compiler says of these files, as if they lay beside this one. */
function problems(files: { name: string; text: string }[], options: ts.CompilerOptions): string[] {
  const texts = new Map(files.map(({ name, text }) => [join(folder, name), text]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const text = texts.get(path);
    return text === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, text, version, true);
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    return `${file?.fileName ?? ''}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

describe.each(['README.md', 'bindings/README.md'])('%s', (document) => {
  test.each(Object.entries(versions))('its examples compile with %s', LONG, (version, options) => {
    const files = examples(document);
    expect(files).not.toEqual([]);
    // The hooks refuse any tRPC but their own.
    const apt = files.filter(({ text }) => version === HOOKS || !text.includes('@trpc/tanstack-react-query'));
    expect(problems(apt, options)).toEqual([]);
  });

  test('with a field misspelt, they would not', LONG, () => {
    const first = examples(document)[0]?.text ?? '';
    const misspelt = first.replace('pipelineId', 'pipelinId');
    expect(misspelt).not.toBe(first);
    const found = problems([{ name: 'misspelt.ts', text: misspelt }], versions[NEWEST]);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain("'pipelinId' does not exist");
  });
});
