import { describe, expect, test } from 'vitest';
import { EventParser, type ServerEvent } from '../src/events.js';

const encoder = new TextEncoder();

/** Every kind of line end, several data lines, a comment, characters of two to four bytes. */
const STREAM =
  '\uFEFFretry: 500\r\n: a comment\r\nevent: connected\r\ndata: {}\r\n\r\n' +
  'data: grüße 🚢\nid: 1-1\n\n' +
  'data: first\rdata:second\rid: 1-2\r\r' +
  'event: ping\ndata:\n\n' +
  'event: nothing\n\n' +
  'data\n\n' +
  'id: 1-3\0\ndata: after a broken id\n\n' +
  'id\ndata: no id\n\n' +
  'data: cut off\n';

const EVENTS: ServerEvent[] = [
  { event: 'connected', data: '{}', id: '' },
  { event: 'message', data: 'grüße 🚢', id: '1-1' },
  { event: 'message', data: 'first\nsecond', id: '1-2' },
  { event: 'ping', data: '', id: '1-2' },
  { event: 'message', data: '', id: '1-2' },
  { event: 'message', data: 'after a broken id', id: '1-2' },
  { event: 'message', data: 'no id', id: '' },
];

function parse(chunks: Uint8Array[]) {
  const parser = new EventParser();
  const events = chunks.flatMap((chunk) => parser.push(chunk));
  return { events, retry: parser.retry };
}

describe('the event parser', () => {
  const bytes = encoder.encode(STREAM);

  test('reads a stream that comes at once', () => {
    expect(parse([bytes])).toEqual({ events: EVENTS, retry: 500 });
  });

  test('reads the same wherever the stream is cut', () => {
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(parse([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual({
        events: EVENTS,
        retry: 500,
      });
    }
  });

  test('reads the same byte by byte', () => {
    expect(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual({ events: EVENTS, retry: 500 });
  });

  test('refuses a line without an end', () => {
    const parser = new EventParser();
    const chunk = encoder.encode(`data: ${'x'.repeat(8 * 1024 * 1024)}`);
    expect(() => {
      for (let i = 0; i < 3; i += 1) parser.push(chunk);
    }).toThrow('longer than');
  });

  test('ignores a retry that is not a number', () => {
    expect(parse([encoder.encode('retry: soon\nretry: -1\nretry:\n\n')]).retry).toBeUndefined();
  });
});
