import type { RunDetails } from '@slipway/client';
import type { ReactNode } from 'react';

import { useMe } from '../api/me';
import { may } from '../roles';
import { useLanguage, useText } from '../text';
import { absolute } from '../text/format';
import { Duration } from '../ui/Time';
import { Removal } from './Removal';
import { isLive } from './status';

export function Details({ run }: { run: RunDetails }) {
  const text = useText();
  const language = useLanguage();
  const me = useMe();
  const time = (at: string | null) => (at === null ? null : absolute(Date.parse(at), language));
  const inputs = Object.entries(run.inputs);
  return (
    <div className="flex flex-col gap-5 p-4">
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5">
        <Entry label={text.run.trigger}>{text.runs.triggeredBy(run.trigger.by, run.trigger.kind)}</Entry>
        <Entry label={text.run.branch}>{run.branch}</Entry>
        <Entry label={text.run.commit}>{run.commit !== null && <code className="text-meta">{run.commit}</code>}</Entry>
        <Entry label={text.run.created}>{time(run.createdAt)}</Entry>
        <Entry label={text.run.started}>{time(run.startedAt)}</Entry>
        <Entry label={text.run.finished}>{time(run.finishedAt)}</Entry>
        <Entry label={text.run.duration}>{run.startedAt !== null && <Duration from={run.startedAt} to={run.finishedAt} />}</Entry>
        <Entry label={text.run.attempts}>
          {run.attempt} / {Math.max(run.attempt, run.attemptsMax)}
        </Entry>
        <Entry label={text.run.id}>
          <code className="text-meta">{run.id}</code>
        </Entry>
      </dl>
      <section>
        <h2 className="pb-1.5">{text.run.inputs}</h2>
        {inputs.length === 0 ? (
          <p className="text-text-2">{text.run.noInputs}</p>
        ) : (
          <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5 font-mono text-meta">
            {inputs.map(([name, value]) => (
              <Entry key={name} label={name}>
                {value}
              </Entry>
            ))}
          </dl>
        )}
      </section>
      {!isLive(run.status) && may(me, 'admin', run.pipelineId) && <Removal run={run} />}
    </div>
  );
}

function Entry({ label, children }: { label: string; children: ReactNode }) {
  if (children === null || children === false || children === undefined) return null;
  return (
    <>
      <dt className="text-text-2">{label}</dt>
      <dd className="wrap-anywhere">{children}</dd>
    </>
  );
}
