import { useLanguage } from '..';
import { en, type BulkCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useBulkText(): BulkCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
