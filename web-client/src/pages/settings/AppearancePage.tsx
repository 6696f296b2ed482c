import type { ReactNode } from 'react';

import { useSetting } from '../../settings';
import { useSettingsText } from '../../text/settings';

export function AppearancePage() {
  const { settings } = useSettingsText();
  const [theme, setTheme] = useSetting('theme');
  const [language, setLanguage] = useSetting('language');
  const [density, setDensity] = useSetting('density');
  const [shortcuts, setShortcuts] = useSetting('shortcuts');
  return (
    <div className="flex max-w-xl flex-col gap-5">
      <Choice name={settings.theme} value={theme} onChange={setTheme} choices={settings.themes} />
      <Choice
        name={settings.languageLabel}
        value={language}
        onChange={setLanguage}
        choices={{ auto: settings.themes.system, en: 'English', 'zh-CN': '简体中文' }}
      />
      <Choice name={settings.density} value={density} onChange={setDensity} choices={settings.densities} />
      <Choice
        name={settings.shortcuts}
        value={shortcuts}
        onChange={setShortcuts}
        choices={{ on: settings.shortcutsOn, off: settings.shortcutsOff }}
      />
      <p className="text-meta text-text-2">{settings.notKept}</p>
    </div>
  );
}

interface ChoiceProps<T extends string> {
  name: string;
  value: T;
  choices: Record<T, ReactNode>;
  onChange: (value: T) => void;
}

function Choice<T extends string>({ name, value, choices, onChange }: ChoiceProps<T>) {
  return (
    <fieldset>
      <legend className="pb-1.5 font-medium">{name}</legend>
      <div className="flex flex-wrap gap-2">
        {(Object.keys(choices) as T[]).map((each) => (
          <label
            key={each}
            className={`flex h-9 cursor-pointer items-center gap-2 rounded-control border px-3 has-focus-visible:outline-2 has-focus-visible:outline-accent ${each === value ? 'border-accent bg-muted' : 'border-control hover:bg-subtle'}`}
          >
            <input
              type="radio"
              name={name}
              className="accent-(--accent)"
              checked={each === value}
              onChange={() => onChange(each)}
            />
            {choices[each]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
