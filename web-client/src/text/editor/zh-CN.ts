import type { EditorCatalogue } from './en';

export const zhCN: EditorCatalogue = {
  title: '定义',
  label: '定义，YAML',
  problems: (n) => (n === 0 ? '没有问题' : `${n} 个问题`),
  checking: '检查中',
  expected: (text) => `应为：${text}`,
  unsaved: '尚未保存',
  leave: '不保存就离开吗？',
  tooLong: '定义最多 256 KiB。',
};
