import { useLanguage } from '..';
import { en, type SignInCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useSignInText(): SignInCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
