import type { ErrorComponentProps } from '@tanstack/react-router';

import { useText } from '../text';
import { Button } from '../ui/Button';
import { Problem } from '../ui/Problem';

/** In place of a page that could not be drawn, or could not be loaded. */
export function Broken({ error }: ErrorComponentProps) {
  const text = useText();
  return (
    <div className="mx-auto flex max-w-xl flex-col items-start gap-4 px-4 py-24">
      <h1 className="text-title">{text.errors.page}</h1>
      <Problem error={error} />
      <Button kind="primary" onClick={() => window.location.reload()}>
        {text.actions.reload}
      </Button>
    </div>
  );
}
