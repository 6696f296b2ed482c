import type { Violation, Evidence } from './evidence.js';
import { grouped } from './group.js';
import type { Line } from './history.js';
import type { Load } from './load.js';
import type { Incident, Schedule } from './schedule.js';
import type { Setup } from './setup.js';

const PROGRESS_MS = 10_000;

/** Says what goes on, while it does. */
export class Progress {
  /** Of the schedule. */
  startedMs = Date.now();
  /** The longest time in which nobody was told anything and no run ended. */
  longestSilenceMs = 0;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(private readonly kind: string) {}

  readonly say = (text: string): void => {
    const seconds = (Date.now() - this.startedMs) / 1000;
    console.log(`${this.kind} ${seconds.toFixed(1).padStart(6)} s  ${text}`);
  };

  watch(load: Load, schedule: Schedule): void {
    const look = () => {
      const told = load.subscribers.toldMs;
      this.longestSilenceMs = Math.max(this.longestSilenceMs, Date.now() - told);
    };
    const tell = () => {
      const open = schedule.open.map(({ kind }) => kind).join(', ') || 'none';
      const { count, lines, open: subscribers } = load.subscribers;
      this.say(
        `  ${load.histories.length} triggers, ${load.ended} ended, ${lines} lines to ${subscribers} of ${count} ` +
          `subscribers; open faults: ${open}`,
      );
    };
    this.timers.push(setInterval(look, 100), setInterval(tell, PROGRESS_MS));
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
  }
}

export interface Outcome {
  setup: Setup;
  load: Load;
  schedule: Schedule;
  evidence: Evidence;
  violations: Violation[];
  longestSilenceMs: number;
  replay: string;
}

export function summary({ setup, load, schedule, evidence, violations, longestSilenceMs }: Outcome): string {
  const { accounts } = evidence;
  const sittings = accounts.flatMap(({ history }) => history.subscribers.flat());
  const linesSeen = sittings.reduce((sum, { lines }) => sum + lines.length, 0);
  const linesKept = accounts.reduce((sum, { log }) => sum + log.length, 0);
  return [
    `triggers      ${load.histories.length}`,
    `ended         ${counted(accounts.map(({ run }) => run.status))}`,
    `step attempts ${counted(accounts.flatMap(({ attempts }) => attempts.map(({ status }) => status)))}`,
    `faults        ${schedule.incidents.length}: ${counted(schedule.incidents.map(({ kind }) => kind))}`,
    `lines checked ${linesKept} in logs, ${linesSeen} at subscribers`,
    `subscribers   ${load.subscribers.count}`,
    `own ends      ${counted(setup.ends.map(({ name }) => name)) || 'none'}`,
    `silence       ${(longestSilenceMs / 1000).toFixed(1)} s at the longest`,
    `violations    ${violations.length}: ${counted(violations.map(({ rule }) => rule)) || 'none'}`,
  ].join('\n');
}

function counted(words: string[]): string {
  const groups = [...grouped(words, (word) => word)].sort(([a], [b]) => a.localeCompare(b));
  return groups.map(([word, all]) => `${word} ${all.length}`).join(', ');
}

/** The violations with all that is needed to understand them, of so many runs. */
export function explained(outcome: Outcome, runsMax = Infinity): string {
  const { violations, replay, setup } = outcome;
  const byRun = grouped(violations, ({ runId }) => runId ?? 'no run');
  const parts = [...byRun].slice(0, runsMax).map(([runId, all]) => ofRun(outcome, runId, all));
  const more = byRun.size - parts.length;
  return [
    `${violations.length} violations`,
    ...parts,
    ...(more > 0 ? [`… and of ${more} more runs`] : []),
    `everything is kept in ${setup.dir}`,
    `again: ${replay}`,
  ].join('\n\n');
}

function ofRun({ load, schedule, evidence }: Outcome, runId: string, violations: Violation[]): string {
  const head = violations.map(({ rule, text }) => `${rule}: ${text}`);
  const history = load.histories.find((one) => one.runId === runId);
  if (history === undefined) return [runId, ...head].join('\n  ');
  const account = evidence.accounts.find(({ run }) => run.id === runId);
  const fromMs = history.startedMs + history.plan.atMs;
  const toMs = history.endings.at(-1)?.atMs ?? Date.now();
  const during = schedule.incidents.filter(
    (incident) => incident.fromMs < toMs && fromMs < (incident.toMs ?? Infinity),
  );
  return [
    `run ${runId}, ${history.plan.shape.name}`,
    ...head,
    ...history.words.map((word) => `  ${word}`),
    ...(account?.attempts ?? []).map(
      (step) => `  step ${step.name} ${step.attempt}: ${step.status}, ${step.exitCode ?? '-'}, ${step.reason ?? ''}`,
    ),
    ...(account?.effects ?? []).map(
      ({ what, step, runAttempt, stepAttempt, atMs }) =>
        `  ${seconds(atMs - history.startedMs)}  ${what} of ${step} ${stepAttempt}, in attempt ${runAttempt} of the run`,
    ),
    ...said(account?.log ?? []),
    ...during.map((incident) => `  fault: ${described(incident, history.startedMs)}`),
  ].join('\n  ');
}

/** Slipway's own words, each once where they are repeated. */
function said(log: Line[]): string[] {
  const words = log.filter(({ stream }) => stream === 'system');
  const first = words.filter(({ message }, index) => message !== words[index - 1]?.message);
  return first.map(({ n, message }) => `  line ${n}: ${message}`);
}

function described({ kind, part, fromMs, toMs }: Incident, startedMs: number): string {
  const to = toMs === undefined ? 'the end' : seconds(toMs - startedMs);
  return `${kind} (${part}), ${seconds(fromMs - startedMs)} to ${to}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}
