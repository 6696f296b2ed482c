import type { ComponentHealth } from '@slipway/client';
import { useQuery } from '@tanstack/react-query';

import { trpc } from '../../api/client';
import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { duration } from '../../text/format';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

export function AboutPage() {
  const text = useText();
  const { settings } = useSettingsText();
  const health = useQuery(trpc.system.health.queryOptions());
  const part = ({ kind, status, error }: ComponentHealth) => `${kind}, ${settings.health[status]}${error === null ? '' : `: ${error}`}`;
  const rows: [string, string][] =
    health.data === undefined
      ? []
      : [
          [settings.version, health.data.version],
          [settings.uptime, duration(health.data.uptimeSeconds * 1_000, text)],
          [settings.database, part(health.data.database)],
          [settings.redis, part(health.data.redis)],
        ];
  return (
    <div className="flex max-w-xl flex-col gap-4">
      <Problem error={health.error} onRetry={() => void health.refetch()} />
      {health.isPending && <Skeleton rows={4} height={28} />}
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-8 gap-y-2">
        {rows.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-text-2">{name}</dt>
            <dd className="wrap-anywhere">{value}</dd>
          </div>
        ))}
      </dl>
      <p>
        <a className="link" href="/docs">
          {settings.apiDocs}
        </a>
      </p>
    </div>
  );
}
