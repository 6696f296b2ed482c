import { createContext, use, useEffect, useState, type ReactNode } from 'react';

import { useSetting } from '../settings';
import { en, type Catalogue } from './en';

export const languages = ['en', 'zh-CN'] as const;
export type Language = (typeof languages)[number];

const Text = createContext<{ text: Catalogue; language: Language }>({ text: en, language: 'en' });

/** Every text of the page, in the reader's language. */
export function useText(): Catalogue {
  return use(Text).text;
}

export function useLanguage(): Language {
  return use(Text).language;
}

function preferred(): Language {
  return navigator.languages.some((tag) => /^zh\b/i.test(tag)) ? 'zh-CN' : 'en';
}

/** English is there at once; another language is a file of its own. */
export function TextProvider({ children }: { children: ReactNode }) {
  const [chosen] = useSetting('language');
  const language = chosen === 'auto' ? preferred() : chosen;
  const [shown, setShown] = useState<{ text: Catalogue; language: Language } | null>(
    language === 'en' ? { text: en, language } : null,
  );
  useEffect(() => {
    let isCurrent = true;
    void load(language).then((text) => {
      if (!isCurrent) return;
      document.documentElement.lang = language;
      setShown({ text, language });
    });
    return () => {
      isCurrent = false;
    };
  }, [language]);
  return shown === null ? null : <Text value={shown}>{children}</Text>;
}

async function load(language: Language): Promise<Catalogue> {
  if (language === 'en') return en;
  // Without its file the page is in English rather than empty.
  return await import('./zh-CN').then(({ zhCN }) => zhCN).catch(() => en);
}
