import type { PipelineCatalogue } from './en';

export const zhCN: PipelineCatalogue = {
  trigger: {
    title: (name) => `触发 ${name}`,
    branch: '分支',
    defaultBranch: (name) => `${name}（默认）`,
    inputs: '输入',
    inputName: '名称',
    inputValue: '值',
    addInput: '添加输入',
    removeInput: (name) => `移除 ${name}`,
    hint: '步骤中以 SLIPWAY_INPUT_<NAME> 读取。',
    submit: '触发',
  },
  form: {
    name: '名称',
    nameHint: '字母、数字、空格和 . _ - /',
    description: '说明',
    repository: 'Git 仓库',
    repositoryHint: 'git clone 接受的地址。不填则步骤在空目录中运行。',
    branch: '默认分支',
    deleteTitle: '删除此流水线',
    deleteText: '以往的运行会保留。有正在进行的运行时不会删除。',
    deleteAsk: (name) => `输入 ${name} 以确认删除`,
  },
  retention: {
    title: '保留规则',
    text: (runsMin) =>
      '已结束的运行和日志到期后会被永久清除。' + (runsMin === 0 ? '' : `最近 ${runsMin} 次运行及其日志无论多久都会保留。`),
    runs: '运行及其日志',
    logs: '仅日志',
    keepRuns: '已结束运行的数量',
    byDefault: (general) => `服务器默认${general === undefined ? '' : `：${general}`}`,
    forever: '永久保留',
    withRuns: '与运行保留同样久',
    anyNumber: '不限数量',
    newest: (count) => `最新 ${count} 次`,
    ownAge: '自定义时长',
    ownNumber: '自定义数量',
    unit: '单位',
    units: { d: '天', h: '小时', m: '分钟', s: '秒' },
  },
};
