import type { EditorCatalogue } from './en';

export const zhCN: EditorCatalogue = {
  title: '定义',
  label: '定义，YAML',
  problems: (n) => (n === 0 ? '没有问题' : `${n} 个问题`),
  checking: '检查中',
  expected: (text) => `应为：${text}`,
  unsaved: '尚未保存',
  leave: '不保存就离开吗？',
  preview: '预览',
  noPreview: '没有问题时，这里会画出各步骤。',
  oldPreview: '出现问题之前',
  plan: {
    success: (needs) => (needs.length === 0 ? '立即开始' : `在 ${needs.join('、')} 之后`),
    failure: (needs) => `当${needs.length === 0 ? '任一步骤' : ` ${needs.join(' 或 ')} `}失败时`,
    always: (needs) => (needs.length === 0 ? '立即开始' : `在 ${needs.join('、')} 之后，总是`),
  },
  tooLong: '定义最多 256 KiB。',
};
