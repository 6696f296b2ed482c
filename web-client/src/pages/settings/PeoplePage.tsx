import type { Person } from '@slipway/client';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import { lazy, Suspense } from 'react';

import { trpc } from '../../api/client';
import { useMe } from '../../api/me';
import { FilterText } from '../../components/filters';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { More } from '../../ui/More';
import { Problem } from '../../ui/Problem';
import { Table, type Column } from '../../ui/Table';
import { Time } from '../../ui/Time';

const NewPerson = lazy(() => import('./NewPerson').then(({ NewPerson }) => ({ default: NewPerson })));

const PAGE_PEOPLE = 50;

export function PeoplePage() {
  const { people } = useSettingsText();
  const me = useMe();
  const { q, create } = useSearch({ from: '/settings/people' });
  const navigate = useNavigate({ from: '/settings/people' });
  const list = useInfiniteQuery(
    trpc.people.list.infiniteQueryOptions(
      { limit: PAGE_PEOPLE, ...(q === undefined ? {} : { search: q }) },
      { getNextPageParam: ({ nextCursor }) => nextCursor, placeholderData: keepPreviousData },
    ),
  );
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const ask = (isOpen: boolean) =>
    void navigate({ search: { ...(q === undefined ? {} : { q }), ...(isOpen ? { create: 1 } : {}) }, replace: true });
  const waysOf = ({ hasPassword, identity }: Person) =>
    [hasPassword && people.byPassword, identity !== null && people.bySingleSignOn].filter((way) => way !== false);
  const columns: Column<Person>[] = [
    {
      key: 'login',
      label: people.login,
      kind: 'title',
      cell: ({ id, login, name }) => (
        <>
          <Link to="/settings/people/$person" params={{ person: login }} data-list-row className="link font-medium">
            {login}
          </Link>
          {id === me?.personId && <span className="text-text-2"> · {people.you}</span>}
          {name !== login && <p className="text-text-2">{name}</p>}
        </>
      ),
    },
    { key: 'role', label: people.role, cell: ({ role }) => role ?? people.noRoleShort },
    {
      key: 'grants',
      label: people.grants,
      cell: ({ grants }) => (grants.length === 0 ? null : people.grantsCount(grants.length)),
    },
    { key: 'ways', label: people.waysIn, cell: (person) => waysOf(person).join(', ') || people.noWay },
    {
      key: 'last',
      label: people.lastSignIn,
      cell: ({ signedInAt }) => (signedInAt === null ? people.never : <Time at={signedInAt} />),
    },
    {
      key: 'state',
      label: people.state,
      cell: ({ disabled }) =>
        disabled ? <span className="font-medium text-failed">{people.disabled}</span> : people.active,
    },
  ];
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3 pb-4">
        <p className="text-text-2">{people.text}</p>
        <div className="flex flex-wrap items-center gap-2">
          <FilterText
            label={people.search}
            placeholder={people.search}
            value={q ?? ''}
            isFirst
            onChange={(value) => void navigate({ search: value === '' ? {} : { q: value }, replace: true })}
          />
          <Button kind="primary" icon={<Plus size={15} aria-hidden />} onClick={() => ask(true)}>
            {people.create}
          </Button>
        </div>
      </div>
      <Problem error={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={4} />}
      {list.data !== undefined && items.length === 0 && (
        <Empty>{q === undefined ? people.empty : people.noMatch(q)}</Empty>
      )}
      {items.length > 0 && <Table label={people.title} columns={columns} items={items} keyOf={({ id }) => id} />}
      <More list={list} />
      <Suspense fallback={null}>{create === 1 && <NewPerson onClose={() => ask(false)} />}</Suspense>
    </>
  );
}
