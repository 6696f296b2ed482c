// What a page asks for at first, as it is sent, and whether that stays within its bound.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const dist = join(import.meta.dirname, 'dist');
const KB = 1_000;
/** First loads, and what is loaded on top of them. */
const bounds = [
  { name: 'pipelines', entries: ['index.html', 'src/pages/pipelines/PipelinesPage.tsx'], max: 200 * KB },
  { name: 'a run', entries: ['index.html', 'src/pages/run/RunPage.tsx'], max: 200 * KB },
  { name: 'the editor', entries: ['src/editor/Editor.tsx'], without: ['index.html'], max: 150 * KB },
];

const manifest = JSON.parse(readFileSync(join(dist, 'assets/manifest.json'), 'utf8'));

function filesOf(entries) {
  const files = new Set();
  const seen = new Set();
  const visit = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const chunk = manifest[name];
    if (chunk === undefined) throw new Error(`the build has no ${name}`);
    for (const file of [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])]) files.add(file);
    for (const imported of chunk.imports ?? []) visit(imported);
  };
  entries.forEach(visit);
  return files;
}

/** What has no compressed form is small, or compressed already. */
const sizeOf = (file) => {
  const path = join(dist, file);
  return statSync(existsSync(`${path}.gz`) ? `${path}.gz` : path).size;
};

let failed = false;
for (const { name, entries, without = [], max } of bounds) {
  const there = filesOf(without);
  const sizes = [...filesOf(entries)]
    .filter((file) => !there.has(file))
    .map((file) => ({ file, size: sizeOf(file) }))
    .sort((a, b) => b.size - a.size);
  const sum = sizes.reduce((total, { size }) => total + size, 0);
  const kb = (bytes) => `${(bytes / KB).toFixed(1)} KB`;
  const largest = sizes.slice(0, 5).map(({ file, size }) => `${file.replace('assets/', '')} ${kb(size)}`);
  console.log(`bundle: ${name}: ${kb(sum)} of ${kb(max)} (${largest.join(', ')})`);
  if (sum > max) failed = true;
}
if (failed) {
  console.error('bundle: more than a page may load; split something off');
  process.exit(1);
}
