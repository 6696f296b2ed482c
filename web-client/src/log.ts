import type { LogLine } from '@slipway/client';

import { element } from './elements.js';

/** How many lines the page holds; a browser becomes slow with more, and the command line has them all. */
const LINES_MAX = 5_000;
/** As near to the end as counts as being there. */
const AT_END_PIXELS = 24;

/** The log as it comes in: one change of the page per frame, however many lines came. */
export class LogView {
  readonly node = element('div', { class: 'log', role: 'log', 'aria-label': 'Log', tabindex: '0' });
  private readonly dropped = element('p', { class: 'quiet', hidden: '' });
  private waiting: LogLine[] = [];
  private frame: number | undefined;

  constructor() {
    this.node.append(this.dropped);
  }

  add(line: LogLine): void {
    this.waiting.push(line);
    if (this.waiting.length > LINES_MAX) this.waiting.shift();
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = undefined;
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    const atEnd = scrollHeight - scrollTop - clientHeight < AT_END_PIXELS;
    const fragment = document.createDocumentFragment();
    for (const line of this.waiting) {
      const prefix = line.step === null ? '' : `${line.step} | `;
      const row = element('div', { class: line.stream });
      row.textContent = prefix + line.message;
      fragment.append(row);
    }
    const last = this.waiting.at(-1)?.n ?? 0;
    this.waiting = [];
    this.node.append(fragment);
    while (this.node.childElementCount > LINES_MAX + 1) this.dropped.nextElementSibling?.remove();
    const first = last - (this.node.childElementCount - 1) + 1;
    this.dropped.hidden = first <= 1;
    this.dropped.textContent = `Lines before ${first} are not shown; \`slipway logs\` prints all of them.`;
    if (atEnd) this.node.scrollTop = this.node.scrollHeight;
  }
}
