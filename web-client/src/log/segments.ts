import type { RunDetails, Step, StepStatus } from '@slipway/client';

import { wentWrong } from '../run/status';
import type { Catalogue } from '../text/en';
import { duration } from '../text/format';
import type { Segment } from './layout';
import type { Span } from './model';

export interface StepSegment extends Segment {
  status: StepStatus;
  exitCode: number | null;
  /** A later attempt of the step exists. */
  isEarlier: boolean;
  /** The first of its lines that reads like an error. */
  firstError: number | null;
  took: (text: Catalogue) => string;
}

/**
 * Each attempt of a step that printed something. What runs alone at present reaches to the end of the log.
 *
 * @param seen of an attempt whose lines the server does not tell yet
 */
export function segmentsOf(
  { steps, earlierSteps }: Pick<RunDetails, 'steps' | 'earlierSteps'>,
  total: number,
  seen: (step: string, attempt: number) => Span | undefined,
): StepSegment[] {
  const running = steps.filter(({ status }) => status === 'running');
  const of = (step: Step, isEarlier: boolean): StepSegment[] => {
    const span = step.firstLine === null ? seen(step.name, step.attempt) : undefined;
    const first = step.firstLine ?? span?.first;
    if (first === undefined || first > total) return [];
    const last = step.lastLine ?? span?.last ?? first;
    const isLast = running.length === 1 && running[0] === step;
    const { startedAt, finishedAt } = step;
    return [
      {
        id: `${step.name}/${step.attempt}`,
        step: step.name,
        attempt: step.attempt,
        first,
        last: isLast ? Math.max(last, total) : last,
        status: step.status,
        exitCode: step.exitCode,
        isEarlier,
        firstError: step.firstErrorLine,
        took: (text) =>
          startedAt === null || finishedAt === null ? '' : duration(Date.parse(finishedAt) - Date.parse(startedAt), text),
      },
    ];
  };
  return [...earlierSteps.flatMap((step) => of(step, true)), ...steps.flatMap((step) => of(step, false))];
}

/** Where an attempt of a step went wrong: its first line that reads like an error, or its last, which led to its end. */
export interface Fault {
  id: string;
  step: string;
  n: number;
  isError: boolean;
  isEarlier: boolean;
}

/** In the order of their lines. */
export function faultsOf(segments: readonly StepSegment[]): Fault[] {
  return segments
    .filter(({ status }) => wentWrong(status))
    .map(({ id, step, last, firstError, isEarlier }) => ({ id, step, n: firstError ?? last, isError: firstError !== null, isEarlier }))
    .sort((a, b) => a.n - b.n);
}

/** Where to look first when a run went wrong: an attempt that another followed is no reason. */
export function failureOf(faults: readonly Fault[]): Fault | null {
  return faults.find(({ isEarlier }) => !isEarlier) ?? null;
}

/** Whether no other step printed between its first line and its last. */
export function isAlone(segment: Segment, segments: readonly Segment[]): boolean {
  return segments.every(({ id, first, last }) => id === segment.id || last < segment.first || segment.last < first);
}
