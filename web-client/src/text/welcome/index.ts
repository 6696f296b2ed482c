import { useLanguage } from '..';
import { en, type WelcomeCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useWelcomeText(): WelcomeCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
