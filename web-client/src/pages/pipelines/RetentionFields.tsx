import type { Retention } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';

import { trpc } from '../../api/client';
import { useLanguage } from '../../text';
import { usePipelineText } from '../../text/pipeline';
import { span } from '../../text/span';
import { Field } from '../../ui/Field';

export const retentionFields = ['retention.runs', 'retention.logs', 'retention.keepRuns'];

const FOREVER = 'forever';
const OWN = 'own';
const AGE_MAX = 9_999;
const KEEP_RUNS_MAX = 100_000;
const units = ['d', 'h', 'm', 's'] as const;

interface Props {
  /** Its own rules; null: it has none. */
  retention: Retention | null;
  problemOf: (field: string) => string | null;
}

/** How long a pipeline keeps what has ended: by rules of its own, or as the server's settings say. */
export function RetentionFields({ retention, problemOf }: Props) {
  const { retention: words } = usePipelineText();
  const language = useLanguage();
  const { data: defaults } = useQuery(trpc.system.retention.queryOptions());
  const age = (text: string | null, forever: string) => (text === null ? forever : span(text, language));
  const count = (number: number | null) => (number === null ? words.anyNumber : words.newest(number));
  return (
    <section className="mt-4 flex flex-col gap-4 border-t border-border pt-6">
      <div>
        <h2 className="text-section">{words.title}</h2>
        <p className="text-text-2">{words.text(defaults?.runsMin ?? 0)}</p>
      </div>
      <AgeField
        name="runs"
        label={words.runs}
        own={retention?.runs ?? null}
        forever={words.forever}
        general={defaults && age(defaults.runs, words.forever)}
        error={problemOf('retention.runs')}
      />
      <AgeField
        name="logs"
        label={words.logs}
        own={retention?.logs ?? null}
        forever={words.withRuns}
        general={defaults && age(defaults.logs, words.withRuns)}
        error={problemOf('retention.logs')}
      />
      <RuleField
        name="keepRuns"
        label={words.keepRuns}
        kind={retention?.keepRuns == null ? '' : OWN}
        own={words.ownNumber}
        general={defaults && count(defaults.keepRuns)}
        error={problemOf('retention.keepRuns')}
      >
        {(field) => (
          <input
            {...field}
            name="keepRuns"
            aria-label={words.ownNumber}
            type="number"
            min={1}
            max={KEEP_RUNS_MAX}
            required
            defaultValue={retention?.keepRuns ?? ''}
            className="field w-28!"
          />
        )}
      </RuleField>
    </section>
  );
}

interface AgeProps {
  name: string;
  label: string;
  own: string | null;
  /** How it is said that nothing goes. */
  forever: string;
  general: string | undefined;
  error: string | null;
}

function AgeField({ name, own, ...rest }: AgeProps) {
  const { retention: words } = usePipelineText();
  const [, amount, unit] = /^(\d+)([dhms])$/.exec(own ?? '') ?? [];
  const kind = own === null || own === FOREVER ? (own ?? '') : OWN;
  return (
    <RuleField {...rest} name={name} kind={kind} own={words.ownAge}>
      {(field) => (
        <>
          <input
            {...field}
            name={name}
            aria-label={words.ownAge}
            type="number"
            min={1}
            max={AGE_MAX}
            required
            defaultValue={amount ?? ''}
            className="field w-24!"
          />
          <select name={`${name}.unit`} aria-label={words.unit} defaultValue={unit ?? units[0]} className="field w-auto!">
            {units.map((each) => (
              <option key={each} value={each}>
                {words.units[each]}
              </option>
            ))}
          </select>
        </>
      )}
    </RuleField>
  );
}

interface RuleProps {
  name: string;
  label: string;
  /** Empty: the server's default. */
  kind: string;
  /** What is said of a rule of its own. */
  own: string;
  /** What the server's settings say, in words; undefined: it is not known yet. */
  general: string | undefined;
  forever?: string;
  error: string | null;
  /** What a rule of its own is typed into. */
  children: (field: { 'aria-describedby': string | undefined; 'aria-invalid': boolean }) => ReactNode;
}

function RuleField({ name, label, kind, own, general, forever, error, children }: RuleProps) {
  const { retention: words } = usePipelineText();
  const [chosen, setChosen] = useState(kind);
  return (
    <Field label={label} error={error}>
      {({ id, ...field }) => (
        <div className="flex flex-wrap gap-2">
          <select
            id={id}
            name={`${name}.kind`}
            value={chosen}
            className="field sm:w-64!"
            onChange={({ target }) => setChosen(target.value)}
          >
            <option value="">{words.byDefault(general)}</option>
            {forever !== undefined && <option value={FOREVER}>{forever}</option>}
            <option value={OWN}>{own}</option>
          </select>
          {chosen === OWN && <div className="flex gap-2">{children(field)}</div>}
        </div>
      )}
    </Field>
  );
}

/** What the fields hold; null: nothing of its own. */
export function retentionOf(form: FormData): Retention | null {
  const text = (name: string) => String(form.get(name) ?? '');
  const age = (name: string) => (form.has(name) ? `${text(name)}${text(`${name}.unit`)}` : text(`${name}.kind`) || null);
  const retention = { runs: age('runs'), logs: age('logs'), keepRuns: form.has('keepRuns') ? Number(text('keepRuns')) : null };
  return Object.values(retention).every((rule) => rule === null) ? null : retention;
}
