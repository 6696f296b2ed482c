import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

import { useIsOutdated } from '../api/build';
import { useConnection } from '../api/connection';
import { useText } from '../text';
import { Button } from '../ui/Button';
import { Problem } from '../ui/Problem';

/** In place of a page that could not be drawn, or could not be loaded. */
export function Broken({ error }: ErrorComponentProps) {
  const text = useText();
  const router = useRouter();
  const isOutdated = useIsOutdated();
  const state = useConnection();
  const isLive = state.kind === 'live';
  const first = useRef(state);
  useEffect(() => {
    // The server was away, and is back.
    if (isLive && state !== first.current && !isOutdated) void router.invalidate();
  }, [isLive, isOutdated, state, router]);
  const why = isOutdated ? text.connection.newVersion : isLive ? null : text.errors.offline;
  return (
    <div className="mx-auto flex max-w-xl flex-col items-start gap-4 px-4 py-24">
      <h1 className="text-title">{why ?? text.errors.page}</h1>
      {why === null && <Problem error={error} />}
      {isLive && (
        <Button kind="primary" onClick={() => window.location.reload()}>
          {text.actions.reload}
        </Button>
      )}
    </div>
  );
}
