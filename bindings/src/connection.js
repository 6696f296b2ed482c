// Where the server is, and how a request says who sends it.

/**
 * @param {string | undefined} url
 * @returns {string}
 */
export function endpoint(url) {
  const trimmed = (url ?? '').replace(/\/+$/, '');
  return trimmed.endsWith('/trpc') ? trimmed : `${trimmed}/trpc`;
}

/**
 * @param {import('./index.js').TokenSource | undefined} source
 * @returns {Promise<Record<string, string>>}
 */
export async function requestHeaders(source) {
  const token = typeof source === 'function' ? await source() : source;
  return token ? { authorization: `Bearer ${token}` } : {};
}
