import type { Account } from '../evidence.js';
import { grouped } from '../group.js';
import type { Line, Sitting } from '../history.js';
import { linesOf } from '../shapes.js';

const FINDINGS_MAX = 5;
/** What stands in the place of a line that cannot be had any more. */
const LOST = '(this line is lost';
/** What the log says where a machine was given up. Its lines are lost if Redis forgets them before they are archived. */
const TAKEN_OVER = 'is silent: the run starts again here';

/** The log is whole, and everybody who followed it was given each of its lines once. */
export function logs(account: Account): string[] {
  const { history, run, log } = account;
  const found = [...wholeness(log), ...numbered(account)];
  const lost = log.filter(isLost);
  const isTakenOver = log.some((line) => line.step === null && line.message.includes(TAKEN_OVER));
  if (lost.length > 0 && !isTakenOver) {
    const [first, last] = [lost[0]?.n, lost.at(-1)?.n];
    found.push(`${lost.length} lines were given up, from ${first} to ${last}, although no machine and no disk is gone`);
  }
  if (log.length !== run.lines) found.push(`has ${run.lines} lines, of which ${log.length} can be read`);
  for (const [index, sittings] of history.subscribers.entries()) {
    for (const sitting of sittings) {
      found.push(...seen(sitting, log).map((text) => `subscriber ${index + 1}: ${text}`));
    }
    const last = sittings.at(-1);
    if (last !== undefined && !last.isComplete) found.push(`subscriber ${index + 1} was not told of the end`);
    const lastN = last?.lines.at(-1)?.n ?? last?.after ?? 0;
    if (last?.isComplete && lastN !== run.lines && history.retriesAsked === 0) {
      found.push(`subscriber ${index + 1} was told of the end after line ${lastN} of ${run.lines}`);
    }
  }
  return found;
}

function wholeness(log: Line[]): string[] {
  const at = log.findIndex((line, index) => line.n !== index + 1);
  return at === -1 ? [] : [`line ${at + 1} of the log is number ${log[at]?.n}`];
}

function isLost({ step, message }: Line): boolean {
  return step === null && message.startsWith(LOST);
}

/** The lines that an attempt of a step printed: all of them if it succeeded, else the first ones. */
function numbered({ attempts, log, history }: Account): string[] {
  // Those that are given up are said so once.
  if (log.some(isLost)) return [];
  const found: string[] = [];
  const printed = grouped(
    log.filter((line) => line.stream === 'stdout' && line.step !== null),
    (line) => `${line.step}/${line.attempt}`,
  );
  for (const step of attempts) {
    const lines = whole(printed.get(`${step.name}/${step.attempt}`) ?? []);
    const wrong = lines.findIndex((text, index) => text !== String(index + 1));
    if (wrong !== -1) {
      found.push(`${step.name}, attempt ${step.attempt} (${step.status}): its line ${wrong + 1} says ${lines[wrong]}`);
    }
    const expected = linesOf(history.plan.shape, step.name, history.plan.inputs);
    if (step.status === 'succeeded' && lines.length !== expected) {
      found.push(`${step.name}, attempt ${step.attempt}, succeeded and has ${lines.length} lines of ${expected}`);
    }
  }
  return found;
}

/** Lines that came in parts, put together. */
function whole(lines: Line[]): string[] {
  const texts: string[] = [];
  for (const line of lines) {
    if (line.continued && texts.length > 0) texts[texts.length - 1] += line.message;
    else texts.push(line.message);
  }
  return texts;
}

function seen({ after, ids, lines, refusal }: Sitting, log: Line[]): string[] {
  const found: string[] = [];
  if (refusal !== undefined) found.push(`was refused for good: ${refusal}`);
  let last: [number, number] = [0, after];
  for (const [index, line] of lines.entries()) {
    const [epoch = NaN, n = NaN] = (ids[index] ?? '').split('-').map(Number);
    const expected = after + index + 1;
    if (line.n !== expected) found.push(`was given line ${line.n} where ${expected} was to come`);
    if (n !== line.n) found.push(`was given line ${line.n} with the id ${ids[index]}`);
    if (epoch < last[0] || n <= last[1]) found.push(`was given the id ${ids[index]} after ${last.join('-')}`);
    last = [epoch, n];
    const archived = log[line.n - 1];
    if (archived !== undefined && isLost(archived) && !isLost(line)) continue;
    if (JSON.stringify(archived) !== JSON.stringify(line)) {
      found.push(`was given ${JSON.stringify(line)}, and the log has ${JSON.stringify(archived)}`);
    }
    if (found.length >= FINDINGS_MAX) return [...found, '…'];
  }
  return found;
}
