export const KINDS = ['embedded', 'cluster'] as const;
export type Kind = (typeof KINDS)[number];

export interface Settings {
  /** All that is drawn follows from it. */
  seed: number;
  /** How long faults are injected. */
  durationMs: number;
  kinds: Kind[];
}

/** Short enough for every run of all tests; this seed has most kinds of faults, and some that outlast a silence. */
const SHORT = { seed: 49, minutes: 0.5 };

/** What `make torture` was given; without it, the short schedule. */
export function settings(): Settings {
  const { TORTURE_SEED, TORTURE_MINUTES, TORTURE_ON } = process.env;
  return {
    seed: number('SEED', TORTURE_SEED, SHORT.seed),
    durationMs: number('MINUTES', TORTURE_MINUTES, SHORT.minutes) * 60_000,
    kinds: kinds(TORTURE_ON),
  };
}

/** The command that does the same again. */
export function replay({ seed, durationMs }: Settings, kind: Kind): string {
  return `make torture SEED=${seed} MINUTES=${durationMs / 60_000} ON=${kind}`;
}

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name}=${text}: expected a number`);
  return value;
}

function kinds(text: string | undefined): Kind[] {
  if (text === undefined || text === '' || text === 'both') return [...KINDS];
  const known = KINDS.find((kind) => kind === text);
  if (known === undefined) throw new Error(`ON=${text}: expected ${KINDS.join(', ')} or both`);
  return [known];
}
