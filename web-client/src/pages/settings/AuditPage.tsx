import type { AuditEntry, AuditOutcome } from '@slipway/client';
import { keepPreviousData, useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Download } from 'lucide-react';

import { trpc } from '../../api/client';
import { FilterText, TimeFilter } from '../../components/filters';
import { save } from '../../log/whole';
import { auditSearch, outcomes, type AuditSearch } from '../../search';
import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { More } from '../../ui/More';
import { Problem } from '../../ui/Problem';
import { StatusIcon } from '../../ui/StatusIcon';
import type { Status } from '../../ui/shapes';
import { Table, type Column } from '../../ui/Table';
import { Time } from '../../ui/Time';
import { auditLines } from './audit-lines';
import { Target } from './Target';

const PAGE_ENTRIES = 50;

/** Each in a form of its own, beside its word. */
const marks: Record<AuditOutcome, Status> = { done: 'succeeded', refused: 'canceled', failed: 'failed' };

export function AuditPage() {
  const text = useText();
  const { audit } = useSettingsText();
  // The router leaves in what the filter does not know, and the server refuses that.
  const search = auditSearch(useSearch({ from: '/settings/audit' }));
  const navigate = useNavigate({ from: '/settings/audit' });
  const list = useInfiniteQuery(
    trpc.audit.list.infiniteQueryOptions(
      { limit: PAGE_ENTRIES, ...search },
      { getNextPageParam: ({ nextCursor }) => nextCursor, placeholderData: keepPreviousData, staleTime: 0 },
    ),
  );
  const download = useMutation({
    mutationFn: () => auditLines(search),
    onSuccess: (address) => save(address, 'audit.ndjson'),
  });
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const isFiltered = Object.keys(search).length > 0;
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3 pb-3">
        <p className="text-text-2">{audit.text}</p>
        <Button icon={<Download size={15} aria-hidden />} isBusy={download.isPending} onClick={() => download.mutate()}>
          {audit.download}
        </Button>
      </div>
      <Filters search={search} onSearch={(next) => void navigate({ search: next, replace: true })} />
      <Problem error={list.error ?? download.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={8} />}
      {list.data !== undefined && items.length === 0 && <Empty>{isFiltered ? audit.noMatch : audit.empty}</Empty>}
      {items.length > 0 && <Entries items={items} search={search} />}
      <More list={list} />
      <p role="status" className="sr-only">
        {download.isSuccess ? text.actions.saved : ''}
      </p>
    </>
  );
}

function Entries({ items, search }: { items: readonly AuditEntry[]; search: AuditSearch }) {
  const { audit } = useSettingsText();
  const columns: Column<AuditEntry>[] = [
    { key: 'when', label: audit.when, cell: ({ at }) => <Time at={at} /> },
    {
      key: 'who',
      label: audit.who,
      cell: ({ actor, ip }) => (
        <>
          {actor === null ? (
            <span className="text-text-2">{audit.nobody}</span>
          ) : (
            <Link to="/settings/audit" search={{ ...search, actor }} replace title={audit.onlyActor(actor)} className="link font-medium">
              {actor}
            </Link>
          )}
          {ip !== null && <p className="text-meta text-text-2">{ip}</p>}
        </>
      ),
    },
    {
      key: 'what',
      label: audit.what,
      kind: 'title',
      cell: ({ action, detail }) => (
        <>
          <Link to="/settings/audit" search={{ ...search, action }} replace title={audit.onlyAction(action)} className="link">
            <code>{action}</code>
          </Link>
          {detail !== null && <p className="text-text-2">{detail}</p>}
        </>
      ),
    },
    { key: 'thing', label: audit.thing, cell: ({ targetKind, targetId }) => <Target kind={targetKind} id={targetId} /> },
    {
      key: 'outcome',
      label: audit.outcome,
      cell: ({ outcome }) => (
        <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
          <StatusIcon status={marks[outcome]} silent />
          {audit.outcomes[outcome]}
        </span>
      ),
    },
  ];
  return <Table label={audit.title} columns={columns} items={items} keyOf={({ id }) => id} />;
}

function Filters({ search, onSearch }: { search: AuditSearch; onSearch: (search: AuditSearch) => void }) {
  const text = useText();
  const { audit } = useSettingsText();
  const choose = <K extends keyof AuditSearch>(key: K, value: AuditSearch[K] | undefined) => {
    const { [key]: _, ...rest } = search;
    onSearch(value === undefined ? rest : { ...rest, [key]: value });
  };
  const words = (key: 'actor' | 'action' | 'target', label: string, placeholder: string, isFirst = false) => (
    <FilterText
      label={label}
      placeholder={placeholder}
      value={search[key] ?? ''}
      isFirst={isFirst}
      onChange={(value) => choose(key, value.trim() || undefined)}
    />
  );
  const time = (key: 'since' | 'until', label: string) => (
    <TimeFilter label={label} value={search[key]} onChange={(value) => choose(key, value)} />
  );
  return (
    <div role="search" className="flex flex-wrap items-center gap-2 pb-3">
      {words('actor', audit.who, audit.anyActor, true)}
      {words('action', audit.what, audit.anyAction)}
      {words('target', audit.thing, audit.anyTarget)}
      <select
        aria-label={audit.outcome}
        className="field w-auto!"
        value={search.outcome ?? ''}
        onChange={({ target }) => choose('outcome', outcomes.find((each) => each === target.value))}
      >
        <option value="">{audit.anyOutcome}</option>
        {outcomes.map((each) => (
          <option key={each} value={each}>
            {audit.outcomes[each]}
          </option>
        ))}
      </select>
      <div className="flex flex-wrap gap-2">
        {time('since', audit.since)}
        {time('until', audit.until)}
      </div>
      {Object.keys(search).length > 0 && (
        <button type="button" className="link" onClick={() => onSearch({})}>
          {text.actions.clear}
        </button>
      )}
    </div>
  );
}
