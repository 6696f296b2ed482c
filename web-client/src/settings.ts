import { useSyncExternalStore } from 'react';

import type { Language } from './text';

/** What is a person's own, and is kept in this browser. */
interface Settings {
  theme: 'system' | 'light' | 'dark';
  language: 'auto' | Language;
  density: 'comfortable' | 'compact';
  shortcuts: 'on' | 'off';
  wrap: 'on' | 'off';
  times: 'off' | 'rel' | 'abs';
}

const standard: Settings = {
  theme: 'system',
  language: 'auto',
  density: 'comfortable',
  shortcuts: 'on',
  wrap: 'off',
  times: 'off',
};

const allowed: { [K in keyof Settings]: readonly Settings[K][] } = {
  theme: ['system', 'light', 'dark'],
  language: ['auto', 'en', 'zh-CN'],
  density: ['comfortable', 'compact'],
  shortcuts: ['on', 'off'],
  wrap: ['on', 'off'],
  times: ['off', 'rel', 'abs'],
};

const listeners = new Set<() => void>();
/** A browser that keeps nothing has settings all the same, until the page is closed. */
const unkept = new Map<string, string>();
const keyOf = (name: keyof Settings) => `slipway.${name}`;

export function setting<K extends keyof Settings>(name: K): Settings[K] {
  let kept: string | null | undefined = unkept.get(name);
  try {
    kept ??= localStorage.getItem(keyOf(name));
  } catch {
    // Storage is forbidden.
  }
  return allowed[name].find((choice) => choice === kept) ?? standard[name];
}

export function setSetting<K extends keyof Settings>(name: K, value: Settings[K]): void {
  try {
    localStorage.setItem(keyOf(name), value);
    unkept.delete(name);
  } catch {
    unkept.set(name, value);
  }
  applyLook();
  for (const listener of listeners) listener();
}

export function useSetting<K extends keyof Settings>(name: K): [Settings[K], (value: Settings[K]) => void] {
  const value = useSyncExternalStore(subscribe, () => setting(name));
  return [value, (next) => setSetting(name, next)];
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const systemTheme = matchMedia('(prefers-color-scheme: dark)');
/** Chromium does not tell a change that somebody has read off `matches` before, as a page may that draws just then. */
let isSystemDark = systemTheme.matches;

/** What the style sheets ask for. */
export function applyLook(): void {
  const chosen = setting('theme');
  const isDark = chosen === 'dark' || (chosen === 'system' && isSystemDark);
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  document.documentElement.dataset['density'] = setting('density');
  document.querySelector('meta[name=theme-color]')?.setAttribute('content', isDark ? '#0d0f14' : '#ffffff');
}

systemTheme.addEventListener('change', ({ matches }) => {
  isSystemDark = matches;
  applyLook();
  for (const listener of listeners) listener();
});
// Another tab of the same browser.
addEventListener('storage', ({ key }) => {
  if (key?.startsWith('slipway.') !== true) return;
  applyLook();
  for (const listener of listeners) listener();
});

export function useTheme(): 'light' | 'dark' {
  const [chosen] = useSetting('theme');
  const isDark = useSyncExternalStore(subscribe, () => isSystemDark);
  return chosen === 'dark' || (chosen === 'system' && isDark) ? 'dark' : 'light';
}
