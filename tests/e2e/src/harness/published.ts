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
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, 'api');
const validators = new Map<string, ValidateFunction>();
for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
  validators.set(operation.operationId, ajv.compile(inDocument(outputOf(operation))));
}

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

function check(procedure: string, value: unknown): void {
  const validate = validators.get(procedure);
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

function checkWhole(procedures: string[], isBatch: boolean, isLines: boolean, text: string): void {
  if (isLines) {
    // The first line announces, each other one is `[index, 0, [[envelope]]]`.
    for (const line of text.split('\n').slice(1)) {
      if (line.trim() === '') continue;
      const [index, , [[envelope]]] = JSON.parse(line) as [number, number, [[unknown]]];
      checkEnvelope(procedures[index], envelope);
    }
    return;
  }
  const parsed: unknown = JSON.parse(text);
  if (isBatch && Array.isArray(parsed)) parsed.forEach((one, index) => checkEnvelope(procedures[index], one));
  else checkEnvelope(procedures[0], parsed);
}

/** Items are the events without a name; a part of an event that was cut off is none. */
function checkEvents(procedure: string): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  let pending = '';
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      const events = (pending + decoder.decode(chunk, { stream: true })).split('\n\n');
      pending = events.pop() ?? '';
      for (const event of events) {
        const lines = event.split('\n');
        if (lines.some((line) => line.startsWith('event:'))) continue;
        const data = lines.find((line) => line.startsWith('data: '));
        if (data !== undefined) check(procedure, JSON.parse(data.slice('data: '.length)));
      }
    },
  });
}

const fetchPlainly = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  const response = await fetchPlainly(input, init);
  if (!url.pathname.startsWith('/trpc/') || response.body === null) return response;
  const procedures = decodeURIComponent(url.pathname.slice('/trpc/'.length)).split(',');
  const { status, statusText, headers } = response;
  if (headers.get('content-type')?.startsWith('text/event-stream')) {
    const body = response.body.pipeThrough(checkEvents(procedures[0] ?? ''));
    return new Response(body, { status, statusText, headers });
  }
  const isLines = new Headers(init?.headers).get('trpc-accept') === 'application/jsonl';
  // As it is, before anybody reads it: whoever asked may not.
  const text = await response.text();
  if (text !== '') checkWhole(procedures, url.searchParams.has('batch'), isLines, text);
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
