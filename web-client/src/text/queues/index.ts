import { useLanguage } from '..';
import { en, type QueuesCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useQueuesText(): QueuesCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
