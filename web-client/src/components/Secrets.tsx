import type { PipelineId, SecretInfo } from '@slipway/client';
import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';

import { queryClient, trpc } from '../api/client';
import { useText } from '../text';
import { useSettingsText } from '../text/settings';
import { Button } from '../ui/Button';
import { Empty, Skeleton } from '../ui/Empty';
import { More } from '../ui/More';
import { Problem } from '../ui/Problem';
import { Table, type Column } from '../ui/Table';
import { Time } from '../ui/Time';

const SetSecret = lazy(() => import('./SetSecret').then(({ SetSecret }) => ({ default: SetSecret })));
const Confirm = lazy(() => import('../ui/Confirm').then(({ Confirm }) => ({ default: Confirm })));

const PAGE_SECRETS = 50;

/** What lies over the list. */
type Layer = { kind: 'set'; secret?: SecretInfo } | { kind: 'delete'; secret: SecretInfo } | null;

/** The secrets of a pipeline, or the global ones. Their values come here from nowhere. */
export function Secrets({ pipelineId, intro }: { pipelineId: PipelineId | null; intro: string }) {
  const text = useText();
  const { secrets: words } = useSettingsText();
  const [layer, setLayer] = useState<Layer>(null);
  const [said, setSaid] = useState('');
  const list = useInfiniteQuery(
    trpc.secrets.list.infiniteQueryOptions(
      { limit: PAGE_SECRETS, pipelineId },
      { getNextPageParam: ({ nextCursor }) => nextCursor },
    ),
  );
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const close = () => setLayer(null);
  const columns: Column<SecretInfo>[] = [
    {
      key: 'name',
      label: words.name,
      kind: 'title',
      cell: ({ name, description }) => (
        <>
          <code className="font-medium">{name}</code>
          {description !== null && <p className="whitespace-pre-wrap text-text-2">{description}</p>}
        </>
      ),
    },
    {
      key: 'branches',
      label: words.branches,
      cell: ({ branches }) => (branches.length === 0 ? words.allBranches : <code>{branches.join(', ')}</code>),
    },
    {
      key: 'untrusted',
      label: words.untrusted,
      cell: ({ allowUntrusted }) => (allowUntrusted ? words.given : words.withheld),
    },
    {
      key: 'changed',
      label: words.changed,
      cell: ({ updatedAt, updatedBy }) => (
        <>
          <Time at={updatedAt} /> <span className="text-text-2">{words.by(updatedBy)}</span>
        </>
      ),
    },
    {
      key: 'used',
      label: words.lastUsed,
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? words.notUsed : <Time at={lastUsedAt} />),
    },
    {
      key: 'actions',
      label: words.actions,
      kind: 'actions',
      cell: (secret) => (
        <>
          <Button aria-label={words.replaceOne(secret.name)} onClick={() => setLayer({ kind: 'set', secret })}>
            {words.replace}
          </Button>
          <Button kind="danger" aria-label={words.deleteOne(secret.name)} onClick={() => setLayer({ kind: 'delete', secret })}>
            {text.actions.delete}
          </Button>
        </>
      ),
    },
  ];
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3 pb-4">
        <p className="text-text-2">{intro}</p>
        <Button icon={<Plus size={15} aria-hidden />} onClick={() => setLayer({ kind: 'set' })}>
          {words.create}
        </Button>
      </div>
      <Problem error={list.error} onRetry={() => void list.refetch()} />
      {list.isPending && <Skeleton rows={3} />}
      {list.data !== undefined && items.length === 0 && <Empty>{words.empty}</Empty>}
      {items.length > 0 && <Table label={words.title} columns={columns} items={items} keyOf={({ name }) => name} />}
      <More list={list} />
      <p role="status" className="pt-2 text-text-2">
        {said}
      </p>
      <Suspense fallback={null}>
        {layer?.kind === 'set' && (
          <SetSecret
            pipelineId={pipelineId}
            {...(layer.secret === undefined ? {} : { secret: layer.secret })}
            onClose={close}
            onStored={(name) => {
              setSaid(words.stored(name));
              close();
            }}
          />
        )}
        {layer?.kind === 'delete' && <DeleteSecret secret={layer.secret} onClose={close} />}
      </Suspense>
    </>
  );
}

function DeleteSecret({ secret: { name, pipelineId }, onClose }: { secret: SecretInfo; onClose: () => void }) {
  const text = useText();
  const { secrets: words } = useSettingsText();
  const remove = useMutation(
    trpc.secrets.delete.mutationOptions({
      onSuccess: () => {
        void queryClient.invalidateQueries({ queryKey: trpc.secrets.pathKey() });
        onClose();
      },
    }),
  );
  return (
    <Confirm
      title={words.deleteOne(name)}
      ask={words.deleteAsk(name)}
      action={text.actions.delete}
      error={remove.error}
      isBusy={remove.isPending}
      onConfirm={() => remove.mutate({ name, pipelineId })}
      onClose={onClose}
    />
  );
}
