/** An element with its attributes and children. Text is always text: nothing here reads markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function link(href: string, text: string): HTMLAnchorElement {
  return element('a', { href }, text);
}

/** A status in its own words, so that its colour says nothing that the text does not. */
export function statusText(status: string): HTMLElement {
  return element('span', { class: `status status-${status}` }, status.replace('_', ' '));
}

export function time(timestamp: string | null): HTMLElement | string {
  if (timestamp === null) return '–';
  const date = new Date(timestamp);
  return element(
    'time',
    { datetime: timestamp, title: date.toLocaleString() },
    date.toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' }),
  );
}

/** Text without spaces to break it at, such as an address. */
export function long(content: Node | string): HTMLElement {
  return element('span', { class: 'long' }, content);
}

export function table(caption: string, heads: string[], rows: (Node | string)[][]): HTMLElement {
  const made = element(
    'table',
    { 'aria-label': caption },
    element('thead', {}, element('tr', {}, ...heads.map((head) => element('th', { scope: 'col' }, head)))),
    element(
      'tbody',
      {},
      ...rows.map((row) => element('tr', {}, ...row.map((cell) => element('td', {}, cell)))),
    ),
  );
  // On a narrow screen the table scrolls by itself, not the page.
  return element('div', { class: 'table' }, made);
}

/** A button that cannot be pressed again while what it does is under way. */
export function button(text: string, action: () => Promise<void>): HTMLButtonElement {
  const made = element('button', { type: 'button' }, text);
  made.addEventListener('click', () => {
    made.disabled = true;
    void action().finally(() => {
      made.disabled = false;
    });
  });
  return made;
}
