import { useEffect, useRef } from 'react';

import { setting } from './settings';

type Actions = Partial<Record<string, (event: KeyboardEvent) => void>>;

/** How long the second key of two may come after the first. */
const SECOND_KEY_MS = 1_000;

/**
 * Single keys, and two one after the other (`g p`). They are off while somebody types, while something lies over the page,
 * and where the reader has switched them off.
 */
export function useShortcuts(actions: Actions): void {
  const current = useRef(actions);
  useEffect(() => {
    current.current = actions;
  });
  useEffect(() => {
    let first = '';
    let firstAt = 0;
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (isTyping(event) || isCovered(event) || setting('shortcuts') === 'off') return;
      const pair = event.timeStamp - firstAt < SECOND_KEY_MS ? `${first} ${event.key}` : '';
      const action = current.current[pair] ?? current.current[event.key];
      first = event.key;
      firstAt = event.timeStamp;
      if (action === undefined) return;
      event.preventDefault();
      action(event);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.shadowRoot !== null;
}

function isCovered({ target }: KeyboardEvent): boolean {
  return target instanceof Element && target.closest('[role=dialog],[role=alertdialog],[role=menu],[role=listbox]') !== null;
}

/** To the field that filters the page, or searches it, which says so of itself; or to what opens it. */
export function focusFilter(): void {
  const filter = document.querySelector<HTMLElement>('[data-filter]');
  if (filter instanceof HTMLButtonElement) filter.click();
  else filter?.focus();
}
