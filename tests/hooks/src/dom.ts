// A page for React and Vue to draw in, without a browser. It is imported before them, since they look for it
// when they are loaded. `fetch` stays Node's own: a page's would refuse the server of another origin.

import { Window } from 'dom';

const page = new Window({ url: 'http://127.0.0.1/' });
for (const name of [
  'document',
  'Node',
  'Element',
  'HTMLElement',
  'SVGElement',
  'HTMLIFrameElement',
  'navigator',
] as const) {
  Object.defineProperty(globalThis, name, { value: page[name], configurable: true });
}
Object.defineProperty(globalThis, 'window', { value: page, configurable: true });

/** An element to draw in. */
export function stage(): HTMLElement {
  const element = document.createElement('div');
  document.body.append(element);
  return element;
}

/** The one element of this kind and text. */
export function find(within: HTMLElement, selector: string, text?: string): HTMLElement {
  const found = [...within.querySelectorAll<HTMLElement>(selector)].filter(
    (element) => text === undefined || element.textContent === text,
  );
  const [only, ...others] = found;
  if (only === undefined || others.length > 0)
    throw new Error(`${found.length} of ${selector} ${text ?? ''}: ${within.innerHTML}`);
  return only;
}

export function texts(within: HTMLElement, selector: string): string[] {
  return [...within.querySelectorAll(selector)].map((element) => element.textContent ?? '');
}

/** What a person does who types into a field: the page's own setter, so that React notices. */
export function type(field: HTMLElement, text: string): void {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value')?.set?.call(field, text);
  field.dispatchEvent(new page.Event('input', { bubbles: true }) as unknown as Event);
}
