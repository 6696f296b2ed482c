import type { RunDetails, Step } from '@slipway/client';

import type { Catalogue } from '../text/en';
import { duration } from '../text/format';
import type { Status } from '../ui/shapes';
import type { Segment } from './layout';
import type { Span } from './model';

export interface StepSegment extends Segment {
  status: Status;
  exitCode: number | null;
  /** A later attempt of the step exists. */
  isEarlier: boolean;
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
        took: (text) =>
          startedAt === null || finishedAt === null ? '' : duration(Date.parse(finishedAt) - Date.parse(startedAt), text),
      },
    ];
  };
  return [...earlierSteps.flatMap((step) => of(step, true)), ...steps.flatMap((step) => of(step, false))];
}

/** Where to look first when a run went wrong. */
export function failureOf(segments: readonly StepSegment[]): StepSegment | null {
  const bad: readonly Status[] = ['failed', 'timed_out', 'lost'];
  const failed = segments.filter(({ status, isEarlier }) => bad.includes(status) && !isEarlier);
  return failed.sort((a, b) => a.first - b.first)[0] ?? null;
}

/** Whether no other step printed between its first line and its last. */
export function isAlone(segment: Segment, segments: readonly Segment[]): boolean {
  return segments.every(({ id, first, last }) => id === segment.id || last < segment.first || segment.last < first);
}
