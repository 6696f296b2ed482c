// How long TypeScript takes for many procedures: `npm run scale --workspace tests/hooks`. It reports and
// judges nothing, since machines differ; what to look at is how the numbers grow with the procedures.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const PROCEDURES = [50, 300];
const PER_ROUTER = 10;
const NUMBERS = ['Types', 'Instantiations', 'Memory used', 'Check time', 'Total time'];

/** Which compilers: the one of this repository, and the next if the registry has it. */
const compilers = {
  5.9: [process.execPath, join(root, 'node_modules/typescript/bin/tsc')],
  '7.0': ['npx', '--yes', '--package=typescript@7.0.2', 'tsc'],
};

const leaf = (index) => `
    /**
     * Does number ${index}.
     */
    p${index}: {
      kind: '${['query', 'mutation', 'subscription'][index % 3]}'; input: In${index}; output: Out${index}; error: ApiError
    };`;

function procedures(count) {
  const indexes = Array.from({ length: count }, (_, index) => index);
  const types = indexes.map(
    (index) => `
export type In${index} = { id: string; limit?: number | null; filter${index}?: string | null };
export type Out${index} = {
  id: string; items: { name: string; value: number | null; tags: string[] }[]; at${index}: string
};`,
  );
  const routers = indexes
    .filter((index) => index % PER_ROUTER === 0)
    .map(
      (first) =>
        `  r${first}: {${indexes
          .slice(first, first + PER_ROUTER)
          .map(leaf)
          .join('')}\n  };`,
    );
  return `export type ApiError = {
  message: string; code: number; data: { code: string; httpStatus: number; field?: string }
};
${types.join('')}
export interface Procedures {
${routers.join('\n')}
}
`;
}

/** A call of every tenth procedure, as a program makes them. */
function program(count) {
  const calls = [];
  for (let first = 0; first < count; first += PER_ROUTER) {
    calls.push(`export const out${first} = client.r${first}.p${first}`);
  }
  return `import { createTRPCClient, httpBatchLink } from '@trpc/client';
import type { ClientRouter } from './router.js';
const client = createTRPCClient<ClientRouter>({ links: [httpBatchLink({ url: '/trpc' })] });
${calls.map((call) => `${call};`).join('\n')}
`;
}

const folder = mkdtempSync(join(tmpdir(), 'slipway-scale-'));
try {
  for (const peer of ['@trpc/client', '@trpc/server']) {
    cpSync(join(root, 'node_modules', peer), join(folder, 'node_modules', peer), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const count of PROCEDURES) {
    const project = join(folder, String(count));
    mkdirSync(project);
    cpSync(join(root, 'bindings/src/router.ts'), join(project, 'router.ts'));
    writeFileSync(join(project, 'procedures.ts'), procedures(count));
    writeFileSync(join(project, 'program.ts'), program(count));
    for (const [version, [command, ...args]] of Object.entries(compilers)) {
      const flags = ['--noEmit', '--strict', '--skipLibCheck', '--extendedDiagnostics'];
      const settings = [
        '--target',
        'es2022',
        '--module',
        'nodenext',
        '--lib',
        'es2023,dom,esnext.disposable',
      ];
      try {
        const said = execFileSync(command, [...args, ...flags, ...settings, join(project, 'program.ts')], {
          encoding: 'utf8',
          cwd: folder,
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        const found = NUMBERS.map(
          (name) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(said)?.slice(0, 1) ?? name,
        );
        console.log(`${count} procedures, TypeScript ${version}\n  ${found.join('\n  ')}`);
      } catch (cause) {
        console.log(
          `${count} procedures, TypeScript ${version}: ${cause.stdout || cause.stderr || cause.message}`,
        );
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
