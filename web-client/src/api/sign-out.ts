import { client, heard, queryClient } from './client';
import { session } from './session';

export async function signOut(): Promise<void> {
  try {
    await client.auth.signOut.mutate();
  } catch (error) {
    heard(error);
    return;
  }
  queryClient.clear();
  const { oidc } = await client.auth.ways.query().catch(() => ({ oidc: null }));
  // The provider's own session may be to end too: the server knows whether this browser came in by it.
  if (oidc?.signOutLink != null) location.assign(oidc.signOutLink);
  else session.ended();
}
