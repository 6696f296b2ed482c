/** The texts of the filters of runs, which come with their lists. */
export const en = {
  noMatch: 'No run fits these filters.',
  status: 'Status',
  anyStatus: 'Any status',
  branch: 'Branch',
  anyBranch: 'Any branch',
  pipeline: 'Pipeline',
  anyPipeline: 'Any pipeline',
  by: 'Triggered by',
  anybody: 'Anybody',
  mine: 'Mine',
  time: 'Triggered',
  anyTime: 'Any time',
  periods: { today: 'Today', '24h': 'Last 24 hours', '7d': 'Last 7 days', '30d': 'Last 30 days' },
  span: 'From … to …',
  since: 'From',
  until: 'Before',
  filters: (n: number) => (n === 1 ? '1 filter' : `${n} filters`),
};

export type RunsCatalogue = typeof en;
