import type { WelcomeCatalogue } from './en';

export const zhCN: WelcomeCatalogue = {
  text: '流水线由若干步骤组成，每个步骤是一段 shell 脚本。这个例子不需要仓库，也不需要网络。',
  choose: '选择开始方式',
  samples: { hello: '你好', parallel: '并行步骤', repository: '来自仓库' },
  run: '运行',
  name: '名称',
  next: '用 TypeScript',
  nextText: '在程序中做同样的事。每次调用和每行日志都有类型。',
};
