import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { freePort } from '../../e2e/src/harness/ports.js';
import { until } from '../../e2e/src/harness/until.js';
import { Link } from './link.js';

let echo: Server;
let link: Link;

beforeEach(async () => {
  echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  // The first port takes no connection.
  link = await Link.start('link', await freePort(), (echo.address() as AddressInfo).port);
});

afterEach(() => {
  link.stop();
  echo.close();
});

interface Client {
  socket: Socket;
  received: () => string;
  isClosed: () => boolean;
}

function client(): Client {
  const socket = connect(link.port, '127.0.0.1');
  let received = '';
  let isClosed = false;
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  return { socket, received: () => received, isClosed: () => isClosed };
}

async function answers(one: Client, word: string): Promise<void> {
  const before = one.received();
  one.socket.write(word);
  await until(`${word} comes back`, () => one.received() === before + word);
}

test('passes on both ways, to whoever accepts', async () => {
  const first = client();
  const second = client();
  await answers(first, 'one');
  await answers(second, 'two');
});

test('a cut ends what is open, and the next connection is well', async () => {
  const first = client();
  await answers(first, 'one');
  link.cut();
  await until('it is closed', first.isClosed);
  await answers(client(), 'two');
});

test('refuses until it is mended', async () => {
  const first = client();
  await answers(first, 'one');
  link.refuse();
  await until('it is closed', first.isClosed);
  const refused = client();
  await until('the next is refused', refused.isClosed);
  await link.mend();
  await answers(client(), 'two');
});

test('what was swallowed arrives once it is mended, in order', async () => {
  const first = client();
  await answers(first, 'one');
  link.swallow();
  first.socket.write('two');
  const second = client();
  await once(second.socket, 'connect');
  first.socket.write('three');
  second.socket.write('other');
  // A round trip past the link shows that there was time enough.
  const past = connect((echo.address() as AddressInfo).port, '127.0.0.1');
  past.write('x');
  await once(past, 'data');
  past.destroy();
  expect([first.received(), second.received()]).toEqual(['one', '']);
  await link.mend();
  await until('all is there', () => first.received() === 'onetwothree' && second.received() === 'other');
});

test('a slow link keeps the order, and takes its time', async () => {
  const first = client();
  link.delay(100);
  const begun = Date.now();
  first.socket.write('one');
  first.socket.write('two');
  await until('all is there', () => first.received() === 'onetwo');
  // Twice through; timers may be a little early.
  expect(Date.now() - begun).toBeGreaterThan(190);
});
