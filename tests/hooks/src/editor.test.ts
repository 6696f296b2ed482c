// What an editor shows of the package: TypeScript's own language service is asked, as editors ask it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const bindings = join(import.meta.dirname, '../../../bindings');
const procedures = join(bindings, 'src/procedures.ts');

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
};

/** Lies in the package, so that the package is found under its own name. `|` is where the cursor is. */
const file = join(bindings, 'test/editor.ts');

/** What was parsed once is used by all tests. */
const registry = ts.createDocumentRegistry();

function edit(text: string, generated = readFileSync(procedures, 'utf8')) {
  const at = text.indexOf('|');
  const texts = new Map([
    [file, text.replace('|', '')],
    [procedures, generated],
  ]);
  const host: ts.LanguageServiceHost = {
    getScriptFileNames: () => [file],
    // The text is its own version: that of the procedures differs between tests.
    getScriptVersion: (path) => texts.get(path) ?? '1',
    getScriptSnapshot: (path) => {
      const content = texts.get(path) ?? ts.sys.readFile(path);
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
    },
    getCurrentDirectory: () => bindings,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => texts.has(path) || ts.sys.fileExists(path),
    readFile: (path) => texts.get(path) ?? ts.sys.readFile(path),
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    ...(ts.sys.realpath ? { realpath: ts.sys.realpath } : {}),
  };
  return { service: ts.createLanguageService(host, registry), at, generated };
}

const CALL = `
import { createClient } from '@slipway/client';
const trpc = createClient();
trpc.pipelines.tri|gger.mutate({ pipelineId: 'web' });
`;

/** The line, counted from 1, at which the text stands. */
const lineOf = (content: string, position: number) => content.slice(0, position).split('\n').length;

test('the hover of a procedure shows its documentation', () => {
  const { service, at } = edit(CALL);
  const shown = service.getQuickInfoAtPosition(file, at);
  const documentation = ts.displayPartsToString(shown?.documentation);
  expect(documentation).not.toBe('');
  // The words that stand above it in the generated file, and with them its role and its path.
  const comment =
    /\/\*\*((?:(?!\/\*\*)[\s\S])*?)\*\/\s*trigger: \{/.exec(readFileSync(procedures, 'utf8'))?.[1] ?? '';
  const [first = ''] = comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .filter((line) => line !== '');
  expect(first).not.toBe('');
  expect(documentation).toContain(first);
  expect(documentation).toContain('Role in the pipeline: operator.');
});

test('the definition of a procedure is its line in procedures.ts', () => {
  const { service, at, generated } = edit(CALL);
  const found = service.getDefinitionAtPosition(file, at) ?? [];
  expect(found.map(({ fileName }) => fileName)).toEqual([procedures]);
  const line = lineOf(generated, found[0]?.textSpan.start ?? 0);
  expect(generated.split('\n')[line - 1]).toMatch(/^ +trigger: \{ kind: 'mutation'; input: TriggerInput;/);
});

test('the definition of an input field is its line in procedures.ts', () => {
  const { service, at, generated } = edit(
    CALL.replace('tri|gger', 'trigger').replace('pipelineId:', 'pipe|lineId:'),
  );
  const [found] = service.getDefinitionAtPosition(file, at) ?? [];
  expect(found?.fileName).toBe(procedures);
  expect(generated.split('\n')[lineOf(generated, found?.textSpan.start ?? 0) - 1]).toContain('pipelineId');
});

test('a procedure that is deprecated is struck through where it is used', () => {
  const plain = readFileSync(procedures, 'utf8');
  const generated = plain.replace(
    /(\n +)(trigger: \{ kind: 'mutation')/,
    '$1/** @deprecated Use another. */$1$2',
  );
  expect(generated).not.toBe(plain);
  const { service, at } = edit(CALL, generated);
  const tags = service.getQuickInfoAtPosition(file, at)?.tags ?? [];
  expect(tags.map(({ name, text }) => [name, ts.displayPartsToString(text)])).toEqual([
    ['deprecated', 'Use another.'],
  ]);
  const suggestions = service
    .getSuggestionDiagnostics(file)
    .filter(({ reportsDeprecated }) => reportsDeprecated);
  expect(suggestions).toHaveLength(1);
});

test('an editor completes the procedures of a router', () => {
  const { service, at } = edit(CALL.replace("tri|gger.mutate({ pipelineId: 'web' });", '|'));
  const names = service.getCompletionsAtPosition(file, at, {})?.entries.map(({ name }) => name) ?? [];
  for (const name of ['create', 'list', 'streamLogs', 'trigger', 'watchRun']) expect(names).toContain(name);
});
