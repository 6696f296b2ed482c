import { setTimeout as pause } from 'node:timers/promises';

import type { Fault } from './faults.js';
import type { Random } from './random.js';

/** Before the first fault, so that there is something to break. */
const HEAD_START_MS = 2_500;
const GAP_MS = 2_200;
/** A long break now and then, in which what was broken comes to rest. */
const CALM_SHARE = 0.08;
const CALM_MS = 12_000;
const OPEN_MAX = 3;

export interface Slot {
  fault: Fault;
  atMs: number;
  holdMs: number;
}

/** Which faults are injected when, and for how long. Each kind comes once before any comes again. */
export function drawSchedule(random: Random, faults: Fault[], durationMs: number): Slot[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  const slots: Slot[] = [];
  let deck: string[] = [];
  let atMs = HEAD_START_MS;
  while (atMs < durationMs) {
    if (deck.length === 0) deck = random.shuffled(kinds);
    const open = slots.filter((slot) => atMs < slot.atMs + slot.holdMs + 1_000);
    const isFree = (fault: Fault) => !open.some((slot) => slot.fault.part === fault.part);
    const place = deck.findIndex((kind) => faults.some((fault) => fault.kind === kind && isFree(fault)));
    if (open.length < OPEN_MAX && place !== -1) {
      const [kind] = deck.splice(place, 1);
      const fault = random.pick(faults.filter((fault) => fault.kind === kind && isFree(fault)));
      const [min, max] = random.pick(fault.seconds);
      const holdMs = Math.min(random.between(min, max) * 1000, durationMs / 3, durationMs - atMs);
      slots.push({ fault, atMs, holdMs });
    }
    atMs += random.chance(CALM_SHARE) ? Math.min(CALM_MS, durationMs / 8) : random.gap(GAP_MS);
  }
  return slots;
}

/** A fault as it was. */
export interface Incident {
  kind: string;
  part: string;
  fromMs: number;
  /** When it was healed; undefined while it is open. */
  toMs?: number;
}

export class Schedule {
  readonly incidents: Incident[] = [];
  /** What could not be injected or healed. */
  readonly troubles: string[] = [];

  constructor(
    private readonly slots: Slot[],
    private readonly startedMs: number,
    private readonly say: (text: string) => void,
  ) {}

  get open(): Incident[] {
    return this.incidents.filter(({ toMs }) => toMs === undefined);
  }

  /** Injects and heals everything. */
  async run(): Promise<void> {
    await Promise.all(this.slots.map((slot) => this.take(slot)));
  }

  private async take({ fault, atMs, holdMs }: Slot): Promise<void> {
    await pause(Math.max(this.startedMs + atMs - Date.now(), 0));
    const { kind, part, leftOut } = fault;
    const name = kind.includes(part) ? kind : `${kind}: ${part}`;
    if (leftOut !== undefined) {
      this.say(`  left out: ${name}: ${leftOut}`);
      return;
    }
    const incident: Incident = { kind, part, fromMs: Date.now() };
    this.incidents.push(incident);
    this.say(`+ ${name}, for ${(holdMs / 1000).toFixed(1)} s`);
    try {
      const heal = await fault.inject(holdMs);
      await pause(holdMs);
      await heal();
    } catch (error) {
      this.troubles.push(`${name}: ${String(error)}`);
    }
    incident.toMs = Date.now();
    this.say(`- ${name}`);
  }
}
