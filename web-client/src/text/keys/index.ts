import { useLanguage } from '..';
import { en, type KeysCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useKeysText(): KeysCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
