// A server of `POST /trpc-live` that does all that servers and networks do: it cuts, refuses, ends, repeats.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { begin, line, RETURN, type Answer } from './server.js';

export interface Asked {
  key: string;
  path: string;
  input: { runId: string };
  lastEventId?: string | null;
}

export async function asked(request: IncomingMessage): Promise<Asked[]> {
  return JSON.parse(await text(request)) as Asked[];
}

/** Answers once the request has been read. */
export function answering(answer: (response: ServerResponse, wanted: Asked[]) => void): Answer {
  return (response, request) => void asked(request).then((wanted) => answer(response, wanted));
}

/** What follows belongs to this subscription. */
export function of(key: string, ...events: string[]): string {
  return `event: key\ndata: ${key}\n\n${events.join('')}`;
}

export const CONNECTED = 'event: connected\ndata: {}\n\n';

/** Whole numbers below a bound, the same for the same seed. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Logs of `lines` lines for every run, sent in small pieces in a random order of subscriptions, over a bad
 * network.
 */
export function unreliable(lines: number, random: (below: number) => number): Answer {
  return answering((response, wanted) => {
    const fate = random(12);
    if (fate === 0) {
      response.destroy();
      return;
    }
    if (fate === 1) {
      response.writeHead(503);
      response.end('busy');
      return;
    }
    begin(response);
    const begun = new Set<string>();
    const open = wanted.map(({ key, lastEventId }) => {
      const last = Number(lastEventId?.split('-')[1] ?? 0);
      // Sometimes it begins at lines that were seen.
      return { key, epoch: 1 + random(3), next: Math.max(1, last + 1 - random(4)) };
    });
    let pieces = 5 + random(60);
    let current: string | undefined;
    const step = () => {
      if (response.destroyed || response.writableEnded) return;
      pieces -= 1;
      if (pieces < 0 && random(2) === 0) {
        response.destroy();
        return;
      }
      const log = open[random(open.length)];
      if (pieces < 0 || !log) {
        response.end();
        return;
      }
      let bytes = current === log.key ? '' : `event: key\ndata: ${log.key}\n\n`;
      current = log.key;
      if (!begun.has(log.key)) bytes += CONNECTED;
      begun.add(log.key);
      if (random(25) === 0) {
        // It passes: this one comes back by itself, and the others go on.
        const error = {
          message: 'busy',
          code: -32603,
          data: { code: 'SERVICE_UNAVAILABLE', httpStatus: 503 },
        };
        bytes += `event: serialized-error\ndata: ${JSON.stringify(error)}\n\n`;
        open.splice(open.indexOf(log), 1);
      } else {
        for (let count = random(8); count > 0 && log.next <= lines; count -= 1) {
          bytes += line(log.next, log.epoch);
          log.next += 1;
        }
        if (log.next > lines) {
          bytes += RETURN;
          open.splice(open.indexOf(log), 1);
        }
      }
      const at = random(bytes.length);
      response.write(bytes.slice(0, at));
      response.write(bytes.slice(at), () => setImmediate(step));
    };
    step();
  });
}
