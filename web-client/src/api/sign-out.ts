import { client, heard, queryClient } from './client';
import { session } from './session';

export async function signOut(): Promise<void> {
  try {
    await client.auth.signOut.mutate();
    queryClient.clear();
    session.ended();
  } catch (error) {
    heard(error);
  }
}
