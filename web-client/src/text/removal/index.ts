import { useLanguage } from '..';
import { en, type RemovalCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useRemovalText(): RemovalCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
