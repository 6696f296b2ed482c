import fc from 'fast-check';
import { expect, test } from 'vitest';

import { layOut } from './step-graph';

const node = (name: string, ...needs: string[]) => ({ name, needs });

test('a step stands behind all that it needs', () => {
  const { layers } = layOut([node('build'), node('test', 'build'), node('lint', 'build'), node('deploy', 'test', 'lint')]);
  expect(layers).toEqual([['build'], ['test', 'lint'], ['deploy']]);
});

test('lines that need not cross do not', () => {
  const { layers } = layOut([node('a'), node('b'), node('of-b', 'b'), node('of-a', 'a')]);
  const [first = [], second = []] = layers;
  expect(second).toEqual(first.map((name) => `of-${name}`));
});

test('any steps have a place each, before what needs them', () => {
  const steps = fc
    .array(fc.array(fc.nat(50), { maxLength: 4 }), { maxLength: 40 })
    .map((all) => all.map((needs, index) => node(`s${index}`, ...needs.filter((n) => n < index).map((n) => `s${n}`))));
  fc.assert(
    fc.property(steps, (all) => {
      const { places, edges } = layOut(all);
      expect(places.size).toBe(all.length);
      expect(new Set([...places.values()].map(({ layer, index }) => `${layer}/${index}`)).size).toBe(all.length);
      for (const { from, to } of edges) expect(places.get(from)?.layer ?? 0).toBeLessThan(places.get(to)?.layer ?? 0);
    }),
  );
});

test('a circle ends', () => {
  expect(layOut([node('a', 'b'), node('b', 'a')]).places.size).toBe(2);
});
