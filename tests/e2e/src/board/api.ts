import type { Installation } from '../harness/installation.js';

export interface Answer {
  status: number;
  body: unknown;
}

/** A call of Bull Board's API, as its pages make them: a body is JSON, and without one there is no type. */
export async function ask(
  slipway: Installation,
  method: string,
  path: string,
  body?: unknown,
  token = slipway.adminToken,
): Promise<Answer> {
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const init: RequestInit = { method, headers, redirect: 'manual' };
  if (body !== undefined) init.body = text;
  const response = await fetch(`${slipway.url}/admin/queues/api${path}`, init);
  const answer = await response.text();
  return { status: response.status, body: answer === '' ? null : JSON.parse(answer) };
}
