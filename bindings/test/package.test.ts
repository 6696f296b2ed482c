// The package as it is published: packed, and unpacked into a project that has nothing but it and its peers.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build, type Rollup } from 'vite';
import { VERSION } from '../src/version.js';

const source = join(import.meta.dirname, '..');
const modules = join(source, '../node_modules');

let project: string;
let installed: string;
let files: string[];

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'slipway-package-'));
  installed = join(project, 'node_modules/@slipway/client');
  mkdirSync(installed, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
    cwd: source,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename, files: inside }] = JSON.parse(packed) as [
    { filename: string; files: { path: string }[] },
  ];
  files = inside.map(({ path }) => path).sort();
  execFileSync('tar', ['-xzf', join(project, filename), '-C', installed, '--strip-components=1']);
  for (const peer of ['@trpc/client', '@trpc/server']) {
    cpSync(join(modules, peer), join(project, 'node_modules', peer), { recursive: true, dereference: true });
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module' }));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

test('holds its sources, its licence and its readme, and nothing else', () => {
  const others = files.filter((path) => !/^src\/[a-z]+(\.d)?\.(js|ts)$/.test(path));
  expect(others).toEqual(['LICENSE', 'README.md', 'package.json']);
  expect(files).toContain('src/worker.js');
  expect(files).toContain('src/procedures.ts');
});

test('says its own version', () => {
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(VERSION).toBe(version);
});

test('has a manifest that publint finds nothing to say of', async () => {
  const { messages, pkg } = await publint({ pkgDir: installed, pack: false, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

const PROGRAM = `
import { createClient, isClientError, liveLink, subscriptionLink } from '@slipway/client';
import type { AppRouter, ClientRouter, LogLine, Run, TriggerInput } from '@slipway/client';
import { createTRPCClient, httpBatchLink, splitLink } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';

const client = createClient({ url: 'http://127.0.0.1:3001', token: () => undefined });
export const triggered = async (input: TriggerInput): Promise<Run> => client.pipelines.trigger.mutate(input);
export type Inputs = inferRouterInputs<AppRouter>['runs']['get'];
export const details = (output: inferRouterOutputs<AppRouter>['runs']['get']): number => output.number;
export const own = createTRPCClient<ClientRouter>({
  links: [
    splitLink({
      condition: (op) => op.type === 'subscription',
      true: [liveLink(), subscriptionLink()][0]!,
      false: httpBatchLink({ url: '/trpc' }),
    }),
  ],
});
own.pipelines.streamLogs.subscribe({ runId: 'r' }, { onData: (log: LogLine) => console.log(log.message) });
export const field = (cause: unknown) => (isClientError(cause) ? cause.data?.field : undefined);
// @ts-expect-error a misspelt field
client.pipelines.trigger.mutate({ pipelinId: 'web' });
`;

describe('type-checks in a strict project, its own files and those of tRPC included', () => {
  const { Bundler, Node16, NodeNext } = ts.ModuleResolutionKind;
  test.each([
    ['bundler', Bundler, ts.ModuleKind.ESNext],
    ['node16', Node16, ts.ModuleKind.Node16],
    ['nodenext', NodeNext, ts.ModuleKind.NodeNext],
  ])('with moduleResolution %s', (_, moduleResolution, module) => {
    const file = join(project, 'program.ts');
    writeFileSync(file, PROGRAM);
    const program = ts.createProgram([file], {
      target: ts.ScriptTarget.ES2022,
      module,
      moduleResolution,
      types: [],
      // tRPC's own declarations name what is disposable, which a project without Node's types takes from
      // here.
      lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable', 'esnext.disposable'].map(
        (name) => `lib.${name}.d.ts`,
      ),
      strict: true,
      skipLibCheck: false,
      // The compiler's own libraries are no part of the question, and take most of the time.
      skipDefaultLibCheck: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      noUnusedLocals: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      erasableSyntaxOnly: true,
      noEmit: true,
    });
    const problems = ts.getPreEmitDiagnostics(program).map(({ file: at, messageText }) => {
      return `${at?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
    expect(problems).toEqual([]);
  });
});

test('runs in a Node without an EventSource', () => {
  const script = `
    if (typeof EventSource !== 'undefined') delete globalThis.EventSource;
    const { createClient } = await import('@slipway/client');
    const client = createClient({ url: 'http://127.0.0.1:1' });
    client.pipelines.streamLogs.subscribe({ runId: 'r' }, {
      onConnectionStateChange: ({ error }) => { if (error) { console.log('came back'); process.exit(); } },
    });
  `;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: project,
    encoding: 'utf8',
  });
  expect(said).toBe('came back\n');
});

describe('bundled', () => {
  /** What a bundler makes of a page's program. */
  async function bundle(program: string): Promise<Map<string, string>> {
    const entry = join(project, 'entry.ts');
    writeFileSync(entry, program);
    const output = (await build({
      root: project,
      configFile: false,
      logLevel: 'error',
      build: {
        write: false,
        modulePreload: false,
        assetsInlineLimit: 0,
        rolldownOptions: {
          input: entry,
          output: { entryFileNames: 'entry.js', assetFileNames: '[name].[ext]' },
        },
      },
    })) as Rollup.RollupOutput;
    return new Map(
      output.output.map((part) => [part.fileName, 'code' in part ? part.code : String(part.source)] as const),
    );
  }

  test('leaves nothing of a program that uses types only', async () => {
    const made = await bundle(`
      import type { Run } from '@slipway/client';
      import { type LogLine } from '@slipway/client';
      export const number = (run: Run, line: LogLine) => run.number + line.n;
      console.log('here');
    `);
    expect([...made.keys()]).toEqual(['entry.js']);
    expect(made.get('entry.js')?.length).toBeLessThan(100);
  });

  test('leaves out the connections of a program that only looks at errors', async () => {
    const made = await bundle(`
      import { isClientError } from '@slipway/client';
      console.log(isClientError(new Error('no')));
    `);
    expect([...made.keys()]).toEqual(['entry.js']);
    expect(made.get('entry.js')).not.toMatch(/SharedWorker|event-stream|trpc-live/);
    // Bundlers cannot take tRPC's client apart entirely, but there is next to nothing of this package.
    const bare = await bundle(`
      import { isTRPCClientError } from '@trpc/client';
      console.log(isTRPCClientError(new Error('no')));
    `);
    expect(Number(made.get('entry.js')?.length) - Number(bare.get('entry.js')?.length)).toBeLessThan(200);
  });

  test('brings the worker along as a file of its own, which a strict policy allows', async () => {
    const made = await bundle(`
      import { createClient } from '@slipway/client';
      createClient().runs.get.query({ runId: 'r' });
    `);
    const entry = made.get('entry.js') ?? '';
    const worker = [...made.keys()].find((name) => name.includes('worker')) ?? '';
    expect(worker).not.toBe('');
    expect(entry).toContain(worker);
    expect(entry).not.toMatch(/blob:|data:text|eval\(/);
    expect(made.get(worker)).toContain('onconnect');
    // What the worker does not need, it does not load: tRPC's client, for one.
    expect(made.get(worker)?.length).toBeLessThan(20_000);
  });
});
