import { definition } from '../../e2e/src/harness/definition.js';
import type { Random } from './random.js';

type Step = Parameters<typeof definition>[0][number];
type Options = NonNullable<Parameters<typeof definition>[1]>;

/** A step that says when its command begins and ends, and prints numbered lines in between. */
interface Part extends Omit<Step, 'run'> {
  /** Shell between the two. */
  body: string;
  /** Prints 1 to this; `input`: to what the run was triggered with. */
  lines: number | 'input';
}

/** A kind of pipeline. */
export interface Shape {
  name: string;
  /** How often it is triggered, beside the others. */
  weight: number;
  parts: Part[];
  retry?: NonNullable<Options['retry']>;
  /** How it ends, if nothing but itself has a say. */
  outcome: 'succeeded' | 'failed';
  /** How often it is canceled. */
  cancels: number;
  /** Its definition lies in a repository. */
  inRepository?: true;
}

export const SHAPES: Shape[] = [
  {
    name: 'quick',
    weight: 6,
    parts: [{ name: 'only', lines: 3, body: 'seq 1 3' }],
    outcome: 'succeeded',
    cancels: 0.05,
  },
  {
    name: 'graph',
    weight: 3,
    parts: [
      { name: 'prepare', lines: 10, body: 'seq 1 10' },
      ...['left', 'middle', 'right'].map((name) => ({
        name,
        needs: ['prepare'],
        lines: 40,
        body: `seq 1 20; sleep 0.5; seq 21 40; echo here > ${name}`,
      })),
      { name: 'join', needs: ['left', 'middle', 'right'], lines: 5, body: 'cat left middle right >&2; seq 1 5' },
    ],
    outcome: 'succeeded',
    cancels: 0.1,
  },
  {
    name: 'chatty',
    weight: 1,
    parts: [{ name: 'talk', lines: 10_000, body: 'seq 1 10000' }],
    outcome: 'succeeded',
    cancels: 0.05,
  },
  {
    name: 'slow',
    weight: 2,
    parts: [
      {
        name: 'count',
        lines: 'input',
        body: 'i=1; while [ $i -le "$SLIPWAY_INPUT_LINES" ]; do echo $i; i=$((i + 1)); sleep 0.05; done',
      },
    ],
    outcome: 'succeeded',
    cancels: 0.25,
  },
  {
    name: 'second-attempt',
    weight: 2,
    parts: [
      { name: 'first', lines: 5, body: 'seq 1 5; echo here > made' },
      {
        name: 'flaky',
        needs: ['first'],
        lines: 10,
        body: 'cat made >&2; seq 1 5; [ "$SLIPWAY_RUN_ATTEMPT" -ge 2 ]; seq 6 10',
      },
    ],
    retry: { attempts: 3, delay: '1s' },
    outcome: 'succeeded',
    cancels: 0.1,
  },
  {
    name: 'broken',
    weight: 1,
    parts: [
      { name: 'break', lines: 3, body: 'seq 1 3; exit 3' },
      { name: 'never', needs: ['break'], lines: 1, body: 'seq 1 1' },
      { name: 'tell', when: 'failure', lines: 2, body: 'seq 1 2' },
    ],
    retry: { attempts: 2, delay: '500ms' },
    outcome: 'failed',
    cancels: 0.1,
  },
  {
    name: 'step-retry',
    weight: 2,
    parts: [
      {
        name: 'stubborn',
        retry: { attempts: 3, delay: '200ms' },
        lines: 4,
        body: 'seq 1 2; [ $((SLIPWAY_STEP_ATTEMPT % 2)) = 0 ]; seq 3 4',
      },
    ],
    outcome: 'succeeded',
    cancels: 0.05,
  },
  {
    name: 'always',
    weight: 2,
    parts: [
      { name: 'work', lines: 20, body: 'seq 1 10; sleep 2; seq 11 20' },
      { name: 'more', needs: ['work'], lines: 1, body: 'seq 1 1; exit 1' },
      { name: 'clean', when: 'always', lines: 3, body: 'seq 1 3' },
    ],
    outcome: 'failed',
    cancels: 0.5,
  },
  {
    name: 'repository',
    weight: 2,
    parts: [
      { name: 'look', lines: 1, body: 'cat number' },
      { name: 'use', needs: ['look'], lines: 3, body: 'seq 1 3' },
    ],
    outcome: 'succeeded',
    cancels: 0.1,
    inRepository: true,
  },
  {
    name: 'tree',
    weight: 1,
    parts: [
      {
        name: 'family',
        lines: 5,
        body: [
          'seq 1 5',
          "trap '' TERM",
          "for child in 1 2 3; do sh -c 'trap \"\" TERM; sleep 3 & sleep 4; wait' & done",
          'wait',
        ].join('\n'),
      },
    ],
    outcome: 'succeeded',
    cancels: 0.6,
  },
];

const SAY = `say() {
  echo "$1 $SLIPWAY_RUN_ID $SLIPWAY_STEP $SLIPWAY_RUN_ATTEMPT $SLIPWAY_STEP_ATTEMPT $(date +%s%3N)" >> "$EFFECTS"
}`;

export function definitionOf(shape: Shape, effects: string): string {
  const steps = shape.parts.map(({ body, lines: _, ...rest }) => ({
    ...rest,
    run: [SAY, 'say begin', body, 'say end'].join('\n'),
  }));
  return definition(steps, { retry: retryOf(shape), env: { EFFECTS: effects } });
}

export function retryOf({ retry }: Shape): NonNullable<Shape['retry']> {
  return retry ?? { attempts: 3, delay: '1s' };
}

/** What a run is triggered with: how many lines a slow step prints, one every 50 ms. */
export function inputsOf(shape: Shape, random: Random, linesMax: number): Record<string, string> {
  if (!shape.parts.some(({ lines }) => lines === 'input')) return {};
  return { lines: String(random.integer(linesMax / 2, linesMax)) };
}

/** How many numbered lines an attempt of a step prints that succeeds. */
export function linesOf(shape: Shape, step: string, inputs: Record<string, string>): number {
  const lines = shape.parts.find(({ name }) => name === step)?.lines ?? 0;
  return lines === 'input' ? Number(inputs['lines']) : lines;
}

export function runsAlways(shape: Shape, step: string): boolean {
  return shape.parts.some(({ name, when }) => name === step && when === 'always');
}
