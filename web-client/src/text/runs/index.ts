import { useLanguage } from '..';
import { en, type RunsCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useRunsText(): RunsCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
