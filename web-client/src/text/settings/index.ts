import { useLanguage } from '..';
import { en, type SettingsCatalogue } from './en';
import { zhCN } from './zh-CN';

/** The texts of the settings that few pages have: they come with those pages, so that no other waits for them. */
export function useSettingsText(): SettingsCatalogue {
  return useLanguage() === 'zh-CN' ? zhCN : en;
}
