import { connect, type NetConnectOpts } from 'node:net';

const ANSWER_MS_MAX = 5_000;

export type Reply = string | number | null | Reply[];

/** One command over a connection of its own. Rejects on errors and where nothing answers. */
export function command(where: NetConnectOpts, ...words: (string | number)[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect(where);
    let received = Buffer.alloc(0);
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(ANSWER_MS_MAX, () => fail(new Error(`redis: no answer to ${words[0]}`)));
    socket.on('error', fail);
    socket.on('close', () => reject(new Error('redis: the connection was closed')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const parsed = reply(received, 0);
      if (parsed === undefined) return;
      if (parsed.value instanceof Error) return fail(parsed.value);
      resolve(parsed.value);
      socket.destroy();
    });
    const parts = words.map(String).map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join('')}`);
  });
}

/** The reply that begins at `at`, and where it ends; undefined where it is not whole. */
function reply(bytes: Buffer, at: number): { value: Reply | Error; next: number } | undefined {
  const end = bytes.indexOf('\r\n', at);
  if (end === -1) return undefined;
  const head = bytes.toString('utf8', at + 1, end);
  const next = end + 2;
  const number = Number(head);
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case '+':
      return { value: head, next };
    case '-':
      return { value: new Error(`redis: ${head}`), next };
    case ':':
      return { value: number, next };
    case '$':
      if (number === -1) return { value: null, next };
      if (bytes.length < next + number + 2) return undefined;
      return { value: bytes.toString('utf8', next, next + number), next: next + number + 2 };
    case '*':
      return items(bytes, next, number);
    default:
      return { value: new Error('redis: a reply of an unknown kind'), next };
  }
}

function items(bytes: Buffer, from: number, count: number): ReturnType<typeof reply> {
  const value: Reply[] = [];
  let next = from;
  for (let index = 0; index < count; index += 1) {
    const item = reply(bytes, next);
    if (item === undefined) return undefined;
    if (item.value instanceof Error) return item;
    value.push(item.value);
    next = item.next;
  }
  return { value, next };
}
