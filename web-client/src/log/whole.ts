import type { RunId } from '@slipway/client';

/** How long a browser may take to begin with what it was given. */
const USED_MS = 60_000;

/**
 * A whole log as text, at an address of this page. A link to the server would not do: what a browser asks for by itself is
 * answered as JSON there.
 */
export async function plainTextAddress(runId: RunId): Promise<string> {
  const response = await fetch(`/api/v1/runs/${runId}/logs`, { headers: { accept: 'text/plain' } });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const address = URL.createObjectURL(await response.blob());
  setTimeout(() => URL.revokeObjectURL(address), USED_MS);
  return address;
}

export function save(address: string, name: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
}
