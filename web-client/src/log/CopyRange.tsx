import type { RunDetails } from '@slipway/client';
import { useEffect, useState } from 'react';

import { client, heard } from '../api/client';
import { useText } from '../text';
import { Button } from '../ui/Button';
import { copyText } from '../ui/copy';
import type { Range } from './range';

/** Lines that go to the clipboard at most; more are to be downloaded. */
const COPIED_LINES_MAX = 10_000;
const READ_LINES_MAX = 1_000;

export function CopyRange({ range, runId }: { range: Range; runId: RunDetails['id'] }) {
  const text = useText();
  const [state, setState] = useState<'ready' | 'busy' | 'done'>('ready');
  const count = range.to - range.from + 1;
  const tooMany = count > COPIED_LINES_MAX;
  useEffect(() => setState('ready'), [range.from, range.to]);
  const copy = async () => {
    setState('busy');
    try {
      await copyText(await textOf(runId, range));
      setState('done');
    } catch (error) {
      heard(error);
      setState('ready');
    }
  };
  return (
    <Button
      kind="quiet"
      isBusy={state === 'busy'}
      disabled={tooMany}
      title={tooMany ? text.log.copyTooMany(COPIED_LINES_MAX) : undefined}
      onClick={() => void copy()}
    >
      {state === 'done' ? text.actions.copied : text.log.copyRange(count)}
    </Button>
  );
}

/** As it was printed, its parts joined. */
async function textOf(runId: RunDetails['id'], { from, to }: Range): Promise<string> {
  const parts: string[] = [];
  for (let n = from; n <= to; ) {
    const { items, nextFrom } = await client.runs.logs.query({ runId, from: n, limit: Math.min(READ_LINES_MAX, to - n + 1) });
    for (const { message, partial } of items) parts.push(message, partial === true ? '' : '\n');
    if (nextFrom === null || nextFrom <= n) break;
    n = nextFrom;
  }
  return parts.join('');
}
