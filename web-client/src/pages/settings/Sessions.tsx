import type { Session } from '@slipway/client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { queryClient, trpc } from '../../api/client';
import { signOut } from '../../api/sign-out';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { Table, type Column } from '../../ui/Table';
import { Time } from '../../ui/Time';
import { deviceOf } from './device';
import { Section } from './Section';

/** The browsers in which the reader is signed in. */
export function Sessions() {
  const { account } = useSettingsText();
  const [said, setSaid] = useState('');
  const list = useQuery(trpc.auth.sessions.queryOptions(undefined, { staleTime: 0 }));
  const ended = (words: string) => ({
    onSuccess: () => setSaid(words),
    // Whoever is told that it is not there sees why.
    onSettled: () => queryClient.invalidateQueries({ queryKey: trpc.auth.sessions.pathKey() }),
  });
  const end = useMutation(trpc.auth.revokeSession.mutationOptions(ended(account.ended)));
  const endOthers = useMutation(trpc.auth.revokeOtherSessions.mutationOptions(ended(account.othersEnded)));
  const nameOf = ({ device }: Session) => {
    const known = device === null ? null : deviceOf(device);
    return known === null ? (device ?? account.unknownBrowser) : account.device(known.browser, known.system);
  };
  const columns: Column<Session>[] = [
    {
      key: 'browser',
      label: account.browser,
      kind: 'title',
      cell: (session) => (
        <>
          <span className="font-medium" title={session.device ?? undefined}>
            {nameOf(session)}
          </span>
          {session.current && <span className="text-text-2"> · {account.here}</span>}
        </>
      ),
    },
    { key: 'from', label: account.from, cell: ({ ip }) => ip },
    { key: 'since', label: account.signedIn, cell: ({ createdAt }) => <Time at={createdAt} /> },
    { key: 'used', label: account.lastUsed, cell: ({ lastUsedAt }) => lastUsedAt !== null && <Time at={lastUsedAt} /> },
    {
      key: 'actions',
      label: account.actions,
      kind: 'actions',
      cell: (session) => (
        <Button
          kind="danger"
          aria-label={account.endOne(session.current ? account.here : nameOf(session), session.ip ?? '')}
          isBusy={end.isPending && end.variables.session === session.id}
          onClick={() => (session.current ? void signOut() : end.mutate({ session: session.id }))}
        >
          {account.end}
        </Button>
      ),
    },
  ];
  const items = list.data?.items ?? [];
  return (
    <Section title={account.sessions} text={account.sessionsText} isWide>
      <Problem error={list.error ?? end.error ?? endOthers.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={2} />}
      {items.length > 0 && <Table label={account.sessions} columns={columns} items={items} keyOf={({ id }) => id} />}
      <div className="flex flex-wrap items-center gap-3 pt-3">
        {items.some(({ current }) => !current) && (
          <Button kind="danger" isBusy={endOthers.isPending} onClick={() => endOthers.mutate()}>
            {account.endOthers}
          </Button>
        )}
        <p role="status" className="text-text-2">
          {said}
        </p>
      </div>
    </Section>
  );
}
