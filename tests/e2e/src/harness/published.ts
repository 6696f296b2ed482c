// Holds every answer of a procedure that the tests are given against the published schema: bindings/openapi.json.
//
// It stands between `fetch` and the tests (vitest's `setupFiles`), so that no test has to think of it: whatever the
// suite asks is checked, single, in batches, line by line, and as the events of a subscription.
import { readFileSync } from 'node:fs';

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterEach } from 'vitest';

interface Operation {
  operationId: string;
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { anyOf?: Event[] }> };
}

interface Event {
  properties: { data: { contentSchema?: object } };
}

const COMPLAINTS_MAX = 20;
const DOCUMENT = new URL('../../../../bindings/openapi.json', import.meta.url);

const document = JSON.parse(readFileSync(DOCUMENT, 'utf8')) as Document;
// The document itself is linted by `make lint`.
const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false });
ajv.addSchema(document, 'api');
const outputs = new Map<string, object>();
for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
  outputs.set(operation.operationId, outputOf(operation));
}
const validators = new Map<string, ValidateFunction>();

let complaints: string[] = [];
let checked = 0;

/** What a procedure answers, or an item of what it streams. */
function outputOf({ operationId, responses }: Operation): object {
  const { content } = responses['200'] ?? responses['201'] ?? {};
  const json = content?.['application/json']?.schema;
  if (json !== undefined) return json;
  const event = content?.['text/event-stream']?.schema as { $ref: string } | undefined;
  const item = document.components.schemas[event?.$ref.split('/').at(-1) ?? '']?.anyOf?.[0];
  const schema = item?.properties.data.contentSchema;
  if (schema === undefined) throw new Error(`${operationId} has no published output`);
  return schema;
}

function inDocument(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object;
}

/** Made when it is first needed: all of them take most of a second, and every file of tests begins anew. */
function validatorOf(procedure: string): ValidateFunction | undefined {
  const output = outputs.get(procedure);
  if (output === undefined) return undefined;
  const validate = validators.get(procedure) ?? ajv.compile(inDocument(output));
  validators.set(procedure, validate);
  return validate;
}

function check(procedure: string, value: unknown): void {
  const validate = validatorOf(procedure);
  checked += 1;
  if (complaints.length >= COMPLAINTS_MAX) return;
  if (validate === undefined) complaints.push(`${procedure} is not published`);
  else if (!validate(value)) complaints.push(`${procedure}: ${ajv.errorsText(validate.errors)}`);
}

/** An envelope of tRPC's; what failed has no output. */
function checkEnvelope(procedure: string | undefined, envelope: unknown): void {
  const { result } = envelope as { result?: { data?: unknown } };
  if (procedure !== undefined && result !== undefined) check(procedure, result.data);
}

function checkWhole(procedures: string[], isBatch: boolean, text: string): void {
  const parsed: unknown = JSON.parse(text);
  if (isBatch && Array.isArray(parsed)) parsed.forEach((one, index) => checkEnvelope(procedures[index], one));
  else checkEnvelope(procedures[0], parsed);
}

/** Passes everything on as it comes, and hands each whole piece to `take`; one that was cut off is none. */
function pieces(separator: string, take: (piece: string) => void): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  let pending = '';
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      const whole = (pending + decoder.decode(chunk, { stream: true })).split(separator);
      pending = whole.pop() ?? '';
      whole.forEach(take);
    },
  });
}

/** The first line announces, each other one is `[index, 0, [[envelope]]]`. */
function checkLine(procedures: string[], line: string): void {
  const parsed: unknown = JSON.parse(line);
  if (!Array.isArray(parsed)) return;
  const [index, , [[envelope]]] = parsed as [number, number, [[unknown]]];
  checkEnvelope(procedures[index], envelope);
}

/** Items are the events without a name; `key` says of which subscription the next ones are. */
function checkEvents(procedureOf: (key: string) => string | undefined): (event: string) => void {
  let procedure = procedureOf('');
  return (event) => {
    const field = (name: string) => {
      const line = event.split('\n').find((one) => one.startsWith(`${name}: `));
      return line?.slice(name.length + 2);
    };
    const [name, data] = [field('event'), field('data')];
    if (name === 'key') procedure = procedureOf(data ?? '');
    else if (name === undefined && data !== undefined && procedure !== undefined) check(procedure, JSON.parse(data));
  };
}

/** The procedure of each key of a request for several subscriptions. */
function byKey(body: unknown): (key: string) => string | undefined {
  const wanted = JSON.parse(String(body)) as { key: string; path: string }[];
  return (key) => wanted.find((one) => one.key === key)?.path;
}

const fetchPlainly = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  const response = await fetchPlainly(input, init);
  const isLive = url.pathname === '/trpc-live';
  if ((!isLive && !url.pathname.startsWith('/trpc/')) || response.body === null) return response;
  const procedures = decodeURIComponent(url.pathname.slice('/trpc/'.length)).split(',');
  const { status, statusText, headers } = response;
  const passOn = (checking: TransformStream<Uint8Array, Uint8Array>) =>
    new Response(response.body?.pipeThrough(checking) ?? null, { status, statusText, headers });
  if (headers.get('content-type')?.startsWith('text/event-stream')) {
    return passOn(pieces('\n\n', checkEvents(isLive ? byKey(init?.body) : () => procedures[0])));
  }
  const asked = new Headers(init?.headers);
  if (response.ok && [asked.get('trpc-accept'), asked.get('accept')].includes('application/jsonl')) {
    return passOn(pieces('\n', (line) => checkLine(procedures, line)));
  }
  // As it is, before anybody reads it: whoever asked may not.
  const text = await response.text();
  if (text !== '') checkWhole(procedures, url.searchParams.has('batch'), text);
  return new Response(text === '' ? null : text, { status, statusText, headers });
};

/** How many values were looked at, and what was wrong with them; they are then forgotten. */
export function takeFindings(): { checked: number; complaints: string[] } {
  const found = { checked, complaints };
  complaints = [];
  checked = 0;
  return found;
}

afterEach(() => {
  const { complaints: found } = takeFindings();
  if (found.length > 0) throw new Error(`not as bindings/openapi.json says:\n${found.join('\n')}`);
});
