import { useState } from 'react';

import { useText } from '../text';
import { Button } from './Button';
import { copyText } from './copy';

interface Props {
  text: string;
  label?: string;
}

/** Text to be taken along. */
export function Sample({ label, text: shown }: Props) {
  const text = useText();
  const [isDone, setDone] = useState(false);
  return (
    <div>
      {label !== undefined && <p className="pb-1 font-medium">{label}</p>}
      <div className="flex items-start gap-2 rounded-card bg-subtle p-2">
        <pre className="min-w-0 flex-1 p-1 text-meta wrap-anywhere whitespace-pre-wrap">{shown}</pre>
        <Button kind="quiet" onClick={() => void copyText(shown).then(() => setDone(true))}>
          {isDone ? text.actions.copied : text.actions.copy}
        </Button>
      </div>
    </div>
  );
}
