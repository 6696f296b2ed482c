// What addresses say behind their question mark. What is unknown or wrong is dropped.

import type { AuditOutcome, RunStatus } from '@slipway/client';

export const statuses: readonly RunStatus[] = [
  'queued',
  'waiting',
  'running',
  'canceling',
  'succeeded',
  'failed',
  'canceled',
  'timed_out',
];

export const sorts = ['activity', 'name', 'health'] as const;
export type Sort = (typeof sorts)[number];

export const panels = ['steps', 'timeline', 'graph', 'details'] as const;
export type Panel = (typeof panels)[number];

/** Since when runs were triggered, as people say it. */
export const periods = ['today', '24h', '7d', '30d'] as const;
export type Period = (typeof periods)[number];

/** How far back. */
export const ranges = ['15m', '1h', '6h', '24h'] as const;
export type Range = (typeof ranges)[number];

type Given = Record<string, unknown>;

/** As long may be a name that runs are asked for by. */
const BY_MAX = 200;

/** As long may be what a log is searched for. */
export const SOUGHT_MAX = 1_000;

function text(value: unknown, max = 500): string | undefined {
  const given = typeof value === 'number' ? String(value) : value;
  return typeof given === 'string' && given !== '' && given.length <= max ? given : undefined;
}

function flag(value: unknown): 1 | undefined {
  return Number(value) === 1 ? 1 : undefined;
}

function oneOf<T extends string>(choices: readonly T[], value: unknown): T | undefined {
  return choices.find((choice) => choice === value);
}

/** Without the keys that say nothing, so that addresses stay short. */
export function told<T extends Given>(search: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(search).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

export function pipelinesSearch(given: Given) {
  return told({ q: text(given['q']), sort: oneOf(sorts, given['sort']) });
}

export function runsSearch(given: Given) {
  const period = oneOf(periods, given['period']);
  return told({
    status: oneOf(statuses, given['status']),
    branch: text(given['branch']),
    pipeline: text(given['pipeline']),
    by: text(given['by'], BY_MAX),
    period,
    since: period === undefined ? time(given['since']) : undefined,
    until: period === undefined ? time(given['until']) : undefined,
    trigger: flag(given['trigger']),
  });
}

export type RunsSearch = ReturnType<typeof runsSearch>;

export function queuesSearch(given: Given) {
  return told({ range: oneOf(ranges, given['range']) });
}

export function runSearch(given: Given) {
  return told({
    panel: oneOf(panels, given['panel']),
    step: text(given['step']),
    q: text(given['q'], SOUGHT_MAX),
    case: flag(given['case']),
    regex: flag(given['regex']),
  });
}

/** What a log is searched for, and how. */
export type Sought = Pick<ReturnType<typeof runSearch>, 'q' | 'case' | 'regex'>;


/** A run's number in its pipeline, as an address has it. */
export function runNumber(text: string): number | null {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

export const outcomes: readonly AuditOutcome[] = ['done', 'refused', 'failed'];

function time(value: unknown): string | undefined {
  const at = Date.parse(text(value) ?? '');
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}

export function auditSearch(given: Given) {
  return told({
    actor: text(given['actor']),
    action: text(given['action']),
    target: text(given['target']),
    outcome: oneOf(outcomes, given['outcome']),
    since: time(given['since']),
    until: time(given['until']),
  });
}

export type AuditSearch = ReturnType<typeof auditSearch>;

export function peopleSearch(given: Given) {
  return told({ q: text(given['q']), create: Number(given['create']) === 1 ? (1 as const) : undefined });
}

/** A path of this server; anything else could lead away from it. */
export function ownPath(value: unknown): string | null {
  if (typeof value !== 'string' || !/^\/(?![/\\])/.test(value) || value.length > 2_000) return null;
  return new URL(value, 'http://here.invalid').host === 'here.invalid' ? value : null;
}

/** Where to go afterwards, and what has kept someone out: the server names it. */
export function signInSearch(given: Given): { next?: string; problem?: string; signedOut?: boolean } {
  return told({
    next: ownPath(given['next']) ?? undefined,
    problem: text(given['problem']),
    signedOut: given['signedOut'] === true || undefined,
  });
}
