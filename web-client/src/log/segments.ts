import type { RunDetails, Step } from '@slipway/client';

import type { Catalogue } from '../text/en';
import { duration } from '../text/format';
import type { Status } from '../ui/shapes';
import type { Segment } from './layout';

export interface StepSegment extends Segment {
  status: Status;
  exitCode: number | null;
  /** A later attempt of the step exists. */
  isEarlier: boolean;
  took: (text: Catalogue) => string;
}

/** Each attempt of a step that printed something. What runs alone at present reaches to the end of the log. */
export function segmentsOf({ steps, earlierSteps }: Pick<RunDetails, 'steps' | 'earlierSteps'>, total: number): StepSegment[] {
  const running = steps.filter(({ status }) => status === 'running');
  const of = (step: Step, isEarlier: boolean): StepSegment[] => {
    if (step.firstLine === null || step.firstLine > total) return [];
    const last = step.lastLine ?? step.firstLine;
    const isLast = running.length === 1 && running[0] === step;
    const { startedAt, finishedAt } = step;
    return [
      {
        id: `${step.name}/${step.attempt}`,
        step: step.name,
        attempt: step.attempt,
        first: step.firstLine,
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
