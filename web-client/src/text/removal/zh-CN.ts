import type { RemovalCatalogue } from './en';

export const zhCN: RemovalCatalogue = {
  title: '移除',
  log: {
    title: '清除日志',
    text: '日志将永久消失；运行会保留并注明这一点，且不能再重试。',
    ask: (name) => `清除 ${name} 的全部日志吗？此操作无法撤销。`,
  },
  run: {
    title: '删除运行',
    text: '连同步骤和日志一并删除；其编号不会再次使用。',
    ask: (name) => `删除 ${name} 及其日志吗？此操作无法撤销。`,
  },
};
