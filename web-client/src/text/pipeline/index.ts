import { useLanguage } from '..';
import { en, type PipelineCatalogue } from './en';
import { zhCN } from './zh-CN';

export function usePipelineText(): PipelineCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
