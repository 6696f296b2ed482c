import type { CreatedToken, Role, Token } from '@slipway/client';
import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import { lazy, Suspense, useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { explain } from '../../api/errors';
import { useText } from '../../text';
import { Button } from '../../ui/Button';
import { copyText } from '../../ui/copy';
import { Empty, Skeleton } from '../../ui/Empty';
import { Field } from '../../ui/Field';
import { Problem } from '../../ui/Problem';
import { Time } from '../../ui/Time';

const Dialog = lazy(() => import('../../ui/Dialog').then(({ Dialog }) => ({ default: Dialog })));

const PAGE_TOKENS = 50;
const roles: readonly Role[] = ['viewer', 'operator', 'admin'];

function forget(): void {
  void queryClient.invalidateQueries({ queryKey: trpc.tokens.pathKey() });
}

export function TokensPage() {
  const text = useText();
  const { tokens } = text;
  const { create } = useSearch({ from: '/settings/tokens' });
  const navigate = useNavigate({ from: '/settings/tokens' });
  const [made, setMade] = useState<CreatedToken | null>(null);
  const [revoked, setRevoked] = useState<Token | null>(null);
  const list = useInfiniteQuery(
    trpc.tokens.list.infiniteQueryOptions({ limit: PAGE_TOKENS }, { getNextPageParam: ({ nextCursor }) => nextCursor }),
  );
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
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
        <div className="overflow-x-auto">
          <table className="w-full text-left">
            <thead className="text-meta text-text-2">
              <tr className="border-b border-border *:px-3 *:py-2 *:font-medium *:whitespace-nowrap">
                <th scope="col">{tokens.name}</th>
                <th scope="col">{tokens.role}</th>
                <th scope="col">{tokens.created}</th>
                <th scope="col">{tokens.lastUsed}</th>
                <th scope="col">{tokens.expiresAt}</th>
                <th scope="col">
                  <span className="sr-only">{tokens.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((token) => (
                <tr key={token.id} className="border-b border-border *:px-3 *:py-1.5">
                  <td className="font-medium wrap-anywhere">{token.name}</td>
                  <td>{token.role}</td>
                  <td>
                    <Time at={token.createdAt} />
                  </td>
                  <td className="whitespace-nowrap">{token.lastUsedAt === null ? tokens.notUsed : <Time at={token.lastUsedAt} />}</td>
                  <td className="whitespace-nowrap">{token.expiresAt === null ? tokens.never : <Time at={token.expiresAt} />}</td>
                  <td className="text-right">
                    <Button kind="danger" aria-label={`${tokens.revoke}: ${token.name}`} onClick={() => setRevoked(token)}>
                      {tokens.revoke}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {list.hasNextPage && (
        <div className="flex justify-center py-4">
          <Button isBusy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {text.actions.more}
          </Button>
        </div>
      )}
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
  const { tokens } = text;
  const create = useMutation(trpc.tokens.create.mutationOptions({ onSuccess: onMade }));
  const failure = create.error === null ? null : explain(create.error, text);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const days = Number(form.get('days'));
    create.mutate({
      name: String(form.get('name')).trim(),
      role: roles.find((role) => role === form.get('role')) ?? 'viewer',
      expiresInDays: days > 0 ? days : null,
    });
  };
  return (
    <Dialog title={tokens.create} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4 p-4">
        <Field label={tokens.name} error={failure?.field === 'name' ? failure.words : null} hint={text.pipelineForm.nameHint}>
          {(field) => <input {...field} name="name" required autoFocus autoComplete="off" maxLength={100} className="field" />}
        </Field>
        <Field label={tokens.role}>
          {(field) => (
            <select {...field} name="role" defaultValue="operator" className="field">
              {roles.map((role) => (
                <option key={role} value={role}>
                  {text.role[role]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={tokens.expires} error={failure?.field === 'expiresInDays' ? failure.words : null}>
          {(field) => <input {...field} name="days" type="number" min={1} placeholder={tokens.never} className="field" />}
        </Field>
        {failure !== null && failure.field === null && <Problem error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{text.actions.cancel}</Button>
          <Button kind="primary" type="submit" isBusy={create.isPending}>
            {text.actions.create}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Made({ made: { token, value }, onClose }: { made: CreatedToken; onClose: () => void }) {
  const text = useText();
  const { tokens } = text;
  const { origin } = window.location;
  return (
    <Dialog title={tokens.madeTitle} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <p>
          {token.name}: {tokens.made}
        </p>
        <Sample label={tokens.name} hideLabel text={value} />
        <Sample label={tokens.curl} text={`curl -H "Authorization: Bearer $TOKEN" ${origin}/api/v1/runs`} />
        <Sample
          label={tokens.typescript}
          text={`import { createClient } from '@slipway/client';\nconst slipway = createClient({ url: '${origin}', token });`}
        />
      </div>
    </Dialog>
  );
}

function Sample({ label, text: shown, hideLabel = false }: { label: string; text: string; hideLabel?: boolean }) {
  const text = useText();
  const [isDone, setDone] = useState(false);
  return (
    <div>
      {!hideLabel && <p className="pb-1 font-medium">{label}</p>}
      <div className="flex items-start gap-2 rounded-card bg-subtle p-2">
        <pre className="min-w-0 flex-1 p-1 text-meta wrap-anywhere whitespace-pre-wrap">{shown}</pre>
        <Button kind="quiet" onClick={() => void copyText(shown).then(() => setDone(true))}>
          {isDone ? text.actions.copied : text.actions.copy}
        </Button>
      </div>
    </div>
  );
}

function Revoke({ token, onClose }: { token: Token; onClose: () => void }) {
  const text = useText();
  const revoke = useMutation(
    trpc.tokens.revoke.mutationOptions({
      onSuccess: () => {
        forget();
        onClose();
      },
    }),
  );
  return (
    <Dialog title={text.tokens.revoke} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <p className="wrap-anywhere">{text.tokens.revokeAsk(token.name)}</p>
        <Problem error={revoke.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{text.actions.cancel}</Button>
          <Button kind="danger" isBusy={revoke.isPending} onClick={() => revoke.mutate({ token: token.id })}>
            {text.tokens.revoke}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
