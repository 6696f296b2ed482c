// What a page asks for at first, compressed as a plain-HTTP browser takes it, and whether that stays within its bound.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = join(import.meta.dirname, 'dist');
const KIB = 1024;
/** First loads, and what is loaded on top of them. */
const bounds = [
  { name: 'pipelines', entries: ['index.html', 'src/pages/pipelines/PipelinesPage.tsx'], max: 200 * KIB },
  { name: 'a run', entries: ['index.html', 'src/pages/run/RunPage.tsx'], max: 200 * KIB },
  { name: 'the editor', entries: ['src/editor/Editor.tsx'], without: ['index.html'], max: 150 * KIB },
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

/** Fonts are compressed already. */
const sizeOf = (file) => {
  const bytes = readFileSync(join(dist, file));
  return file.endsWith('.woff2') ? bytes.length : gzipSync(bytes, { level: 6 }).length;
};

let failed = false;
for (const { name, entries, without = [], max } of bounds) {
  const there = filesOf(without);
  const sizes = [...filesOf(entries)]
    .filter((file) => !there.has(file))
    .map((file) => ({ file, size: sizeOf(file) }))
    .sort((a, b) => b.size - a.size);
  const sum = sizes.reduce((total, { size }) => total + size, 0);
  const kib = (bytes) => `${(bytes / KIB).toFixed(1)} KiB`;
  const largest = sizes.slice(0, 5).map(({ file, size }) => `${file.replace('assets/', '')} ${kib(size)}`);
  console.log(`bundle: ${name}: ${kib(sum)} of ${kib(max)} (${largest.join(', ')})`);
  if (sum > max) failed = true;
}
if (failed) {
  console.error('bundle: more than a page may load; split something off');
  process.exit(1);
}
