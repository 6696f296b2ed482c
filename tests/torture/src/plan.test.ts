import { expect, test } from 'vitest';

import type { Fault } from './faults.js';
import { drawLoad } from './plan.js';
import { Random } from './random.js';
import { drawSchedule } from './schedule.js';

const MINUTE_MS = 60_000;

const FAULTS: Fault[] = ['api 0', 'api 1', 'redis'].flatMap((part) =>
  ['killed', 'stopped'].map((kind) => ({ kind, part, seconds: [[1, 20]], inject: () => () => undefined })),
);

test('load and schedule follow from the seed alone', () => {
  const drawn = (seed: number) => [
    drawLoad(new Random(seed).split('load'), MINUTE_MS),
    drawSchedule(new Random(seed).split('faults'), FAULTS, MINUTE_MS).map(({ fault, ...times }) => ({
      ...times,
      kind: fault.kind,
      part: fault.part,
    })),
  ];
  expect(drawn(7)).toEqual(drawn(7));
  expect(drawn(7)).not.toEqual(drawn(8));
});

test('no part is broken twice at a time, and all is healed in time', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const slots = drawSchedule(new Random(seed), FAULTS, MINUTE_MS);
    for (const [index, slot] of slots.entries()) {
      expect(slot.atMs + slot.holdMs).toBeLessThanOrEqual(MINUTE_MS);
      const later = slots.slice(index + 1).filter(({ fault }) => fault.part === slot.fault.part);
      for (const { atMs } of later) expect(atMs).toBeGreaterThan(slot.atMs + slot.holdMs);
    }
    expect(new Set(slots.map(({ fault }) => fault.kind)).size).toBe(2);
  }
});
