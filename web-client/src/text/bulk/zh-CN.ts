import type { BulkCatalogue } from './en';

export const zhCN: BulkCatalogue = {
  title: '对这些运行执行批量操作',
  all: '没有筛选条件：所有运行。',
  action: '操作',
  actions: { cancel: '取消', retry: '重试', delete: '删除' },
  concerns: {
    cancel: '尚未结束的运行',
    retry: '失败或成功的运行，从失败处开始',
    delete: '已结束的运行及其日志',
  },
  preview: (n, leftOut) => `${n.toLocaleString('zh-CN')} 个运行${leftOut === '' ? '' : `；跳过：${leftOut}`}。`,
  leftOut: {
    live: (n) => `${n.toLocaleString('zh-CN')} 个未结束`,
    ended: (n) => `${n.toLocaleString('zh-CN')} 个已结束`,
    canceled: (n) => `${n.toLocaleString('zh-CN')} 个已取消`,
    no_log: (n) => `${n.toLocaleString('zh-CN')} 个没有日志`,
  },
  noRight: (n) => `另有 ${n.toLocaleString('zh-CN')} 个匹配的运行，您无权操作。`,
  more: (n) => `还有更多匹配：这里是最新的 ${n.toLocaleString('zh-CN')} 个。`,
  newest: '其中最新的',
  sure: '这些运行及其日志将被永久删除。',
  start: {
    cancel: (n) => `取消 ${n.toLocaleString('zh-CN')} 个运行`,
    retry: (n) => `重试 ${n.toLocaleString('zh-CN')} 个运行`,
    delete: (n) => `删除 ${n.toLocaleString('zh-CN')} 个运行`,
  },
  state: {
    running: (n, of) => `${n.toLocaleString('zh-CN')} / ${of.toLocaleString('zh-CN')}：`,
    stopping: (n, of) => `正在停止，${n.toLocaleString('zh-CN')} / ${of.toLocaleString('zh-CN')}：`,
    done: (_, of) => `已处理全部 ${of.toLocaleString('zh-CN')} 个：`,
    stopped: (n, of) => `已停止，${n.toLocaleString('zh-CN')} / ${of.toLocaleString('zh-CN')}：`,
  },
  outcome: (done, skipped) => `完成 ${done.toLocaleString('zh-CN')} 个，跳过 ${skipped.toLocaleString('zh-CN')} 个。`,
  goesOn: '关闭此窗口后仍会继续。',
  stop: '停止',
};
