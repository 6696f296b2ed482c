import type { CreatedToken, Token } from '@slipway/client';
import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import { lazy, Suspense, useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { explain } from '../../api/errors';
import { RoleOptions } from '../../components/RoleOptions';
import { roleOf } from '../../roles';
import { useText } from '../../text';
import { usePipelineText } from '../../text/pipeline';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Empty, Skeleton } from '../../ui/Empty';
import { Field } from '../../ui/Field';
import { DialogFoot } from '../../ui/FormFoot';
import { More } from '../../ui/More';
import { Problem } from '../../ui/Problem';
import { Sample } from '../../ui/Sample';
import { Table, type Column } from '../../ui/Table';
import { Time } from '../../ui/Time';

const Dialog = lazy(() => import('../../ui/Dialog').then(({ Dialog }) => ({ default: Dialog })));
const Confirm = lazy(() => import('../../ui/Confirm').then(({ Confirm }) => ({ default: Confirm })));

const PAGE_TOKENS = 50;

function forget(): void {
  void queryClient.invalidateQueries({ queryKey: trpc.tokens.pathKey() });
}

export function TokensPage() {
  const { people, tokens } = useSettingsText();
  const { create } = useSearch({ from: '/settings/tokens' });
  const navigate = useNavigate({ from: '/settings/tokens' });
  const [made, setMade] = useState<CreatedToken | null>(null);
  const [revoked, setRevoked] = useState<Token | null>(null);
  const list = useInfiniteQuery(
    trpc.tokens.list.infiniteQueryOptions({ limit: PAGE_TOKENS }, { getNextPageParam: ({ nextCursor }) => nextCursor }),
  );
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const columns: Column<Token>[] = [
    { key: 'name', label: tokens.name, kind: 'title', cell: ({ name }) => <span className="font-medium">{name}</span> },
    { key: 'role', label: tokens.role, cell: ({ role, grants }) => role ?? people.grantsCount(grants.length) },
    { key: 'created', label: tokens.created, cell: ({ createdAt }) => <Time at={createdAt} /> },
    {
      key: 'used',
      label: tokens.lastUsed,
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? tokens.notUsed : <Time at={lastUsedAt} />),
    },
    {
      key: 'expires',
      label: tokens.expiresAt,
      cell: ({ expiresAt }) => (expiresAt === null ? tokens.never : <Time at={expiresAt} />),
    },
    {
      key: 'actions',
      label: tokens.actions,
      kind: 'actions',
      cell: (token) => (
        <Button kind="danger" aria-label={`${tokens.revoke}: ${token.name}`} onClick={() => setRevoked(token)}>
          {tokens.revoke}
        </Button>
      ),
    },
  ];
  const ask = (isOpen: boolean) => void navigate({ search: isOpen ? { create: 1 } : {}, replace: true });
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3 pb-4">
        <p className="text-text-2">{tokens.text}</p>
        <Button kind="primary" icon={<Plus size={15} aria-hidden />} onClick={() => ask(true)}>
          {tokens.create}
        </Button>
      </div>
      <Problem error={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={4} />}
      {list.data !== undefined && items.length === 0 && <Empty>{tokens.empty}</Empty>}
      {items.length > 0 && (
        <Table label={tokens.title} columns={columns} items={items} keyOf={({ id }) => id} />
      )}
      <More list={list} />
      <Suspense fallback={null}>
        {create === 1 && (
          <Create
            onClose={() => ask(false)}
            onMade={(token) => {
              forget();
              setMade(token);
              ask(false);
            }}
          />
        )}
        {made !== null && <Made made={made} onClose={() => setMade(null)} />}
        {revoked !== null && <Revoke token={revoked} onClose={() => setRevoked(null)} />}
      </Suspense>
    </>
  );
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (made: CreatedToken) => void }) {
  const text = useText();
  const { tokens } = useSettingsText();
  const { form: words } = usePipelineText();
  const create = useMutation(trpc.tokens.create.mutationOptions({ onSuccess: onMade }));
  const failure = create.error === null ? null : explain(create.error, text);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const days = Number(form.get('days'));
    create.mutate({
      name: String(form.get('name')).trim(),
      role: roleOf(form.get('role')),
      expiresInDays: days > 0 ? days : null,
    });
  };
  return (
    <Dialog title={tokens.create} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4 p-4">
        <Field label={tokens.name} error={failure?.field === 'name' ? failure.words : null} hint={words.nameHint}>
          {(field) => <input {...field} name="name" required autoFocus autoComplete="off" maxLength={100} className="field" />}
        </Field>
        <Field label={tokens.role}>
          {(field) => (
            <select {...field} name="role" defaultValue="operator" className="field">
              <RoleOptions />
            </select>
          )}
        </Field>
        <Field label={tokens.expires} error={failure?.field === 'expiresInDays' ? failure.words : null}>
          {(field) => <input {...field} name="days" type="number" min={1} placeholder={tokens.never} className="field" />}
        </Field>
        {failure !== null && failure.field === null && <Problem error={create.error} />}
        <DialogFoot action={text.actions.create} isBusy={create.isPending} onClose={onClose} />
      </form>
    </Dialog>
  );
}

function Made({ made: { token, value }, onClose }: { made: CreatedToken; onClose: () => void }) {
  const { tokens } = useSettingsText();
  const { origin } = window.location;
  return (
    <Dialog title={tokens.madeTitle} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <p>
          {token.name}: {tokens.made}
        </p>
        <Sample text={value} />
        <Sample label={tokens.curl} text={`curl -H "Authorization: Bearer $TOKEN" ${origin}/api/v1/runs`} />
        <Sample
          label={tokens.typescript}
          text={`import { createClient } from '@slipway/client';\nconst slipway = createClient({ url: '${origin}', token });`}
        />
      </div>
    </Dialog>
  );
}

function Revoke({ token, onClose }: { token: Token; onClose: () => void }) {
  const { tokens } = useSettingsText();
  const revoke = useMutation(
    trpc.tokens.revoke.mutationOptions({
      onSuccess: () => {
        forget();
        onClose();
      },
    }),
  );
  return (
    <Confirm
      title={tokens.revoke}
      ask={tokens.revokeAsk(token.name)}
      action={tokens.revoke}
      error={revoke.error}
      isBusy={revoke.isPending}
      onConfirm={() => revoke.mutate({ token: token.id })}
      onClose={onClose}
    />
  );
}
