// Puts the page that shows the API into dist/docs, with Swagger UI and its licence, for the server to embed.
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const swagger = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const target = join(here, '..', 'dist', 'docs');

mkdirSync(target, { recursive: true });
for (const file of ['index.html', 'page.css', 'init.js']) cpSync(join(here, file), join(target, file));
const taken = {
  'swagger-ui-bundle.js': 'swagger-ui-bundle.js',
  'swagger-ui.css': 'swagger-ui.css',
  // What the bundle holds of others, and Swagger UI's own terms.
  'swagger-ui-bundle.js.LICENSE.txt': 'swagger-ui-bundle.js.LICENSE.txt',
  LICENSE: 'swagger-ui.LICENSE.txt',
  NOTICE: 'swagger-ui.NOTICE.txt',
};
for (const [file, name] of Object.entries(taken)) cpSync(join(swagger, file), join(target, name));
