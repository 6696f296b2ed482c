// What can go wrong with a stream, in a form that can be posted from the worker to a page.

/**
 * @typedef {object} Failure
 * @property {string} message
 * @property {import('./router.js').ErrorShape} [shape] where the server spoke: its words
 * @property {unknown} [cause] of use where it arose only: it is not posted
 */

/** The JSON-RPC number of what may pass: a server that is restarting or overloaded. */
export const RETRYABLE_CODE = -32603;

/** What an answer without tRPC's own body means. */
const CODES = /** @type {const} */ ({
  400: ['BAD_REQUEST', -32600],
  401: ['UNAUTHORIZED', -32001],
  403: ['FORBIDDEN', -32003],
  404: ['NOT_FOUND', -32004],
  405: ['METHOD_NOT_SUPPORTED', -32005],
  413: ['PAYLOAD_TOO_LARGE', -32013],
  415: ['UNSUPPORTED_MEDIA_TYPE', -32015],
});

/** The stream was cut, or could not begin for a reason that passes. Anything else that is thrown is final. */
export class Interrupted extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message, { cause: failure.cause });
    this.failure = failure;
  }
}

/** The stream was refused, and would be again. */
export class Refused extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message, { cause: failure.cause });
    this.failure = failure;
  }
}

/**
 * @param {unknown} cause
 * @returns {Failure}
 */
export function failureOf(cause) {
  if (cause instanceof Interrupted || cause instanceof Refused) return cause.failure;
  return { message: cause instanceof Error ? cause.message : String(cause), cause };
}

/**
 * The failure that an error of the server's describes; undefined if it is none.
 *
 * @param {unknown} shape
 * @returns {Failure | undefined}
 */
export function failureOfShape(shape) {
  if (typeof shape !== 'object' || shape === null) return undefined;
  if (!('code' in shape) || typeof shape.code !== 'number') return undefined;
  if (!('message' in shape) || typeof shape.message !== 'string') return undefined;
  return { message: shape.message, shape: /** @type {import('./router.js').ErrorShape} */ (shape) };
}

/**
 * What an answer that is no event stream says: thrown as what passes, or as what does not.
 *
 * @param {Response} response
 * @param {string} type
 * @returns {Promise<Interrupted | Refused>}
 */
export async function refusal(response, type) {
  const { status } = response;
  const failure = await answer(response, type);
  // Overload, a proxy without its server: it passes. The rest stays as it is.
  return status >= 500 || status === 408 || status === 429 ? new Interrupted(failure) : new Refused(failure);
}

/**
 * @param {Response} response
 * @param {string} type
 * @returns {Promise<Failure>}
 */
async function answer(response, type) {
  const { status } = response;
  const text = await response.text().catch(() => '');
  try {
    const said = failureOfShape(JSON.parse(text).error);
    if (said?.shape?.data) return said;
  } catch {
    // Not tRPC's words: a proxy's, say. The status has to do.
  }
  if (status === 200) return { message: `expected an event stream, got ${type || 'nothing'}` };
  const message = `the server answered ${status} ${response.statusText}`.trim();
  const known = CODES[/** @type {keyof typeof CODES} */ (status)];
  if (!known) return { message };
  const [code, number] = known;
  return { message, shape: { message, code: number, data: { code, httpStatus: status } } };
}
