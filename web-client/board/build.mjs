// Puts Bull Board's pages into dist/board, with its licence, for the server to embed. The server fills in index.ejs.
import { cpSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const ui = dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json'));
const target = join(here, '..', 'dist', 'board');

rmSync(target, { recursive: true, force: true });
cpSync(join(ui, 'dist'), target, { recursive: true });
// The package has no copy of its own.
cpSync(join(here, 'LICENSE.txt'), join(target, 'static', 'LICENSE.txt'));
