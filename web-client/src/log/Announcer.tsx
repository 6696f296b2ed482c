import type { RunDetails } from '@slipway/client';
import { useEffect, useEffectEvent, useRef, useState } from 'react';

import { useText } from '../text';

/** A screen reader is told of new lines no more often. */
const ANNOUNCE_EVERY_MS = 10_000;

/** For a screen reader: not each line, but that there are some, and how steps end. */
export function Announcer({ run, total }: { run: RunDetails; total: number }) {
  const text = useText();
  const [said, say] = useState('');
  const last = useRef({ at: 0, total });
  const statuses = run.steps.map(({ name, status }) => `${name}\n${status}`).join('\n\n');
  const before = useRef(statuses);
  const announce = useEffectEvent(() => {
    const now = Date.now();
    if (total - last.current.total <= 0 || now - last.current.at < ANNOUNCE_EVERY_MS) return;
    const step = run.steps.find(({ status }) => status === 'running')?.name ?? run.pipelineName;
    say(text.log.announce(step, total - last.current.total));
    last.current = { at: now, total };
  });
  useEffect(() => announce(), [total]);
  const announceSteps = useEffectEvent(() => {
    const known = new Set(before.current.split('\n\n'));
    before.current = statuses;
    const ended = run.steps.find(
      ({ name, status }) => !known.has(`${name}\n${status}`) && status !== 'pending' && status !== 'running',
    );
    if (ended !== undefined) say(text.log.stepEnded(ended.name, text.status[ended.status]));
  });
  useEffect(() => announceSteps(), [statuses]);
  return (
    <p aria-live="polite" className="sr-only">
      {said}
    </p>
  );
}
