import { told, type Period, type RunsSearch } from '../search';

const HOUR_MS = 60 * 60_000;

const hours: Record<Exclude<Period, 'today'>, number> = { '24h': 24, '7d': 7 * 24, '30d': 30 * 24 };

/** What the server is asked for by what an address says, at that time. */
export function filterOf({ pipeline, status, branch, by, period, since, until }: RunsSearch, now: number) {
  const begin = period === undefined ? since : new Date(beginOf(period, now)).toISOString();
  return told({ pipelineId: pipeline, status, branch, by, since: begin, until });
}

export type RunFilter = ReturnType<typeof filterOf>;

/** A period that counts back from now begins with a whole hour, so that its list is not another one each moment. */
function beginOf(period: Period, now: number): number {
  if (period === 'today') return new Date(now).setHours(0, 0, 0, 0);
  return Math.floor(now / HOUR_MS - hours[period]) * HOUR_MS;
}
