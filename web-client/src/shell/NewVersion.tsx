import { useIsOutdated } from '../api/build';
import { useText } from '../text';
import { Button } from '../ui/Button';

/** After an upgrade of the server, an offer. It is not lazy: what it would be loaded from is gone by then. */
export function NewVersion() {
  const { connection, actions } = useText();
  if (!useIsOutdated()) return null;
  return (
    <div role="status" className="flex items-center justify-center gap-3 border-t border-border bg-subtle px-3 py-1.5">
      <p>{connection.newVersion}</p>
      <Button onClick={() => window.location.reload()}>{actions.reload}</Button>
    </div>
  );
}
