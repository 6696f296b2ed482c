import { useState, type ReactNode } from 'react';

import { useMe } from '../api/me';
import { periods, statuses, told, type RunsSearch } from '../search';
import { useText } from '../text';
import { useRunsText } from '../text/runs';
import { Button } from '../ui/Button';
import { FilterText, TimeFilter } from './filters';

interface Props {
  search: RunsSearch;
  onSearch: (search: RunsSearch) => void;
  hasPipeline: boolean;
  /** What can be done with what they leave. */
  children: ReactNode;
}

/** The filters of a list of runs, which are the address's. */
export function RunFilters({ search, onSearch, hasPipeline, children }: Props) {
  const text = useText();
  const runs = useRunsText();
  const me = useMe();
  // It is chosen before its moments are.
  const [isSpan, setSpan] = useState(search.since !== undefined || search.until !== undefined);
  const choose = (changed: { [K in keyof RunsSearch]?: RunsSearch[K] | undefined }) => onSearch(told({ ...search, ...changed }));
  const words = (key: 'branch' | 'by' | 'pipeline', label: string, placeholder: string, isFirst = false) => (
    <FilterText
      label={label}
      placeholder={placeholder}
      value={search[key] ?? ''}
      isFirst={isFirst}
      className="w-full! sm:w-44!"
      onChange={(value) => choose({ [key]: value === '' ? undefined : value })}
    />
  );
  const count = countOf(search);
  const isMine = me !== undefined && search.by === me.name;
  return (
    <div role="search" className="grid grid-cols-2 items-center gap-2 pb-3 sm:flex sm:flex-wrap">
      <select
        aria-label={runs.status}
        className="field sm:w-auto!"
        value={search.status ?? ''}
        onChange={({ target }) => choose({ status: statuses.find((each) => each === target.value) })}
      >
        <option value="">{runs.anyStatus}</option>
        {statuses.map((each) => (
          <option key={each} value={each}>
            {text.status[each]}
          </option>
        ))}
      </select>
      {words('branch', runs.branch, runs.anyBranch, true)}
      {hasPipeline && words('pipeline', runs.pipeline, runs.anyPipeline)}
      <div className="flex items-center gap-1">
        {words('by', runs.by, runs.anybody)}
        {me !== undefined && (
          <Button
            kind="quiet"
            aria-pressed={isMine}
            className={isMine ? 'bg-muted text-text!' : ''}
            onClick={() => choose({ by: isMine ? undefined : me.name })}
          >
            {runs.mine}
          </Button>
        )}
      </div>
      <When search={search} isSpan={isSpan} onSpan={setSpan} onChoose={choose} />
      {count > 0 && (
        <p className="text-text-2">
          {runs.filters(count)} ·{' '}
          <button
            type="button"
            className="link"
            onClick={() => {
              setSpan(false);
              onSearch({});
            }}
          >
            {text.actions.clear}
          </button>
        </p>
      )}
      {children}
    </div>
  );
}

type Times = Pick<RunsSearch, 'period' | 'since' | 'until'>;

interface WhenProps {
  search: Times;
  isSpan: boolean;
  onSpan: (isSpan: boolean) => void;
  onChoose: (changed: { [K in keyof Times]-?: Times[K] | undefined }) => void;
}

/** A time as people say it, or from one moment to another. */
function When({ search: { period, since, until }, isSpan, onSpan, onChoose }: WhenProps) {
  const runs = useRunsText();
  return (
    <>
      <select
        aria-label={runs.time}
        className="field sm:w-auto!"
        value={period ?? (isSpan ? 'span' : '')}
        onChange={({ target }) => {
          onSpan(target.value === 'span');
          onChoose({ period: periods.find((each) => each === target.value), since: undefined, until: undefined });
        }}
      >
        <option value="">{runs.anyTime}</option>
        {periods.map((each) => (
          <option key={each} value={each}>
            {runs.periods[each]}
          </option>
        ))}
        <option value="span">{runs.span}</option>
      </select>
      {isSpan && period === undefined && (
        <div className="col-span-2 flex flex-wrap gap-2">
          <TimeFilter label={runs.since} value={since} onChange={(at) => onChoose({ period, since: at, until })} />
          <TimeFilter label={runs.until} value={until} onChange={(at) => onChoose({ period, since, until: at })} />
        </div>
      )}
    </>
  );
}

/** A time is one filter, however it is said. */
export function countOf({ status, branch, pipeline, by, period, since, until }: RunsSearch): number {
  return [status, branch, pipeline, by, period ?? since ?? until].filter((each) => each !== undefined).length;
}
