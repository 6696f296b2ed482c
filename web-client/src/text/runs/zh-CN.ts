import type { RunsCatalogue } from './en';

export const zhCN: RunsCatalogue = {
  noMatch: '没有符合筛选条件的运行。',
  status: '状态',
  anyStatus: '所有状态',
  branch: '分支',
  anyBranch: '所有分支',
  pipeline: '流水线',
  anyPipeline: '所有流水线',
  by: '触发者',
  anybody: '任何人',
  mine: '我触发的',
  time: '触发时间',
  anyTime: '所有时间',
  periods: { today: '今天', '24h': '最近 24 小时', '7d': '最近 7 天', '30d': '最近 30 天' },
  span: '从…到…',
  since: '从',
  until: '早于',
  filters: (n) => `${n} 个筛选条件`,
};
