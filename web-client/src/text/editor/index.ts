import { useLanguage } from '..';
import { en, type EditorCatalogue } from './en';
import { zhCN } from './zh-CN';

export function useEditorText(): EditorCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
