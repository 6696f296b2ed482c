import type { AuditSearch } from '../../search';

/** How long a browser may take to begin with what it was given. */
const USED_MS = 60_000;

/**
 * All that fits a filter, an entry a line, at an address of this page: what a browser asks for by a link is answered as
 * JSON, a page of it.
 */
export async function auditLines(search: AuditSearch): Promise<string> {
  const response = await fetch(`/api/v1/audit?${new URLSearchParams({ ...search }).toString()}`, {
    headers: { accept: 'application/x-ndjson' },
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const address = URL.createObjectURL(await response.blob());
  setTimeout(() => URL.revokeObjectURL(address), USED_MS);
  return address;
}
