import type { Status } from '../ui/shapes';
import { shapes } from '../ui/shapes';
import { parse, PLAIN, type Span, type Style } from './ansi';
import { groundColour, textColour, type Theme } from './colour';

/** Of a longer line the rest is shown when it is asked for. */
export const SHOWN_MAX = 2_000;
/** As much of a line is shown at most. */
const SHOWN_ALL_MAX = 200_000;

export interface HeadView {
  id: string;
  step: string;
  /** Where there are several. */
  attempt: number | null;
  attemptWord: string;
  status: Status;
  statusWord: string;
  took: string;
  lines: string;
  canFold: boolean;
  isFolded: boolean;
  foldLabel: string;
}

export interface LineView {
  n: number;
  text: string;
  style: Style;
  stream: string;
  /** Continues below: it has no end yet. */
  isOpen: boolean;
  isWhole: boolean;
  isChosen: boolean;
  time: string;
  theme: Theme;
  showAll: (size: number) => string;
  label: string;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An element of the list, which shows one line or one head after another. */
export class Row {
  readonly element = document.createElement('div');
  /** What it shows; a new one is drawn only where this differs. */
  shown = '';
  /** The line whose height is to be measured. */
  line: number | null = null;
  private y = NaN;
  private counted = '';

  constructor() {
    this.element.setAttribute('role', 'listitem');
  }

  /** Most rows stay where they are from one frame to the next: the browser works out anew whatever is written to. */
  place(y: number): void {
    if (y === this.y) return;
    this.y = y;
    this.element.style.transform = `translateY(${y}px)`;
  }

  /** Its place among all rows. */
  count(position: number, size: number): void {
    const count = `${position}/${size}`;
    if (count === this.counted) return;
    this.counted = count;
    this.element.setAttribute('aria-posinset', String(position));
    this.element.setAttribute('aria-setsize', String(size));
  }

  showLoading(n: number, label: string): void {
    this.line = null;
    this.element.className = 'log-row is-loading';
    this.element.replaceChildren(number(n, label));
  }

  showLine(view: LineView): void {
    this.line = view.n;
    const chosen = view.isChosen ? ' is-chosen' : '';
    this.element.className = `log-row is-${view.stream}${chosen}`;
    const parts: Node[] = [number(view.n, view.label)];
    if (view.time !== '') parts.push(labelled('log-time', view.time));
    const content = document.createElement('span');
    content.className = 'log-text';
    const limit = view.isWhole ? SHOWN_ALL_MAX : SHOWN_MAX;
    const { spans } = parse(view.text, view.style);
    let room = limit;
    for (const span of spans) {
      if (room <= 0) break;
      append(content, { text: span.text.slice(0, room), style: span.style }, view.theme);
      room -= span.text.length;
    }
    if (room < 0 && !view.isWhole) content.append(more(view.n, view.showAll(view.text.length)));
    if (view.isOpen) content.append(labelled('log-caret', ''));
    if (content.childNodes.length === 0) content.append('\u200b');
    parts.push(content);
    this.element.replaceChildren(...parts);
  }

  showHead(view: HeadView): void {
    this.line = null;
    this.element.className = 'log-row log-head';
    const button = document.createElement(view.canFold ? 'button' : 'span');
    button.className = 'log-fold';
    if (button instanceof HTMLButtonElement) {
      button.type = 'button';
      button.dataset['segment'] = view.id;
      button.setAttribute('aria-expanded', String(!view.isFolded));
      button.setAttribute('aria-label', view.foldLabel);
    }
    const name = labelled('log-step', view.step);
    const attempt = view.attempt === null ? [] : [labelled('log-quiet', view.attemptWord)];
    button.append(chevron(view.canFold), icon(view.status), name);
    const sentence = labelled('log-quiet', [view.statusWord, view.took, view.lines].filter(Boolean).join(' · '));
    this.element.replaceChildren(button, ...attempt, sentence);
  }
}

function number(n: number, label: string): HTMLElement {
  // Written by the style sheet, so that it is never part of what is copied.
  const made = document.createElement('a');
  made.className = 'log-n';
  made.dataset['n'] = String(n);
  made.href = `#L${n}`;
  made.tabIndex = -1;
  made.setAttribute('aria-label', label);
  return made;
}

function labelled(className: string, text: string): HTMLElement {
  const made = document.createElement('span');
  made.className = className;
  made.textContent = text;
  return made;
}

function more(n: number, text: string): HTMLElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'log-more';
  made.dataset['whole'] = String(n);
  made.textContent = text;
  return made;
}

function chevron(canFold: boolean): Element {
  const made = svg(12);
  made.classList.add('log-chevron');
  if (canFold) made.append(path({ d: 'M5 6.5l3 3l3-3', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.75' }));
  return made;
}

function icon(status: Status): Element {
  const { colour, fill, line, sign, turning } = shapes[status];
  const made = svg(14);
  made.style.color = `var(--${colour})`;
  if (turning !== undefined)
    made.append(path({ d: turning, class: 'turning', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.75' }));
  if (fill !== undefined) made.append(path({ d: fill, fill: 'currentColor' }));
  if (line !== undefined) made.append(path({ d: line, fill: 'none', stroke: 'currentColor', 'stroke-width': '1.5' }));
  if (sign !== undefined) made.append(path({ d: sign, fill: 'none', stroke: 'var(--bg)', 'stroke-width': '1.75' }));
  return made;
}

function svg(size: number): SVGSVGElement {
  const made = document.createElementNS(SVG, 'svg');
  made.setAttribute('viewBox', '0 0 16 16');
  made.setAttribute('width', String(size));
  made.setAttribute('height', String(size));
  made.setAttribute('aria-hidden', 'true');
  return made;
}

function path(attributes: Record<string, string>): SVGPathElement {
  const made = document.createElementNS(SVG, 'path');
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function append(parent: HTMLElement, span: Span, theme: Theme): void {
  const { style } = span;
  const holder = style.link !== null ? anchor(style.link) : style === PLAIN ? parent : document.createElement('span');
  if (holder === parent) {
    appendText(parent, span.text);
    return;
  }
  dress(holder, style, theme);
  if (style.link === null) appendText(holder, span.text);
  else holder.textContent = span.text;
  parent.append(holder);
}

const ADDRESS = /https?:\/\/[^\s<>"'`\x00-\x1f]{3,2000}/g;

/** Addresses in it can be followed. */
function appendText(parent: HTMLElement, text: string): void {
  if (!text.includes('://')) {
    parent.append(text);
    return;
  }
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    // A bracket or a full stop behind an address is the sentence's.
    const address = found[0].replace(/[.,;:!?)\]}]+$/, '');
    parent.append(text.slice(end, found.index));
    const made = anchor(address);
    made.textContent = address;
    parent.append(made);
    end = found.index + address.length;
  }
  parent.append(text.slice(end));
}

function anchor(address: string): HTMLElement {
  const made = document.createElement('a');
  made.href = address;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  made.className = 'log-link';
  return made;
}

function dress(element: HTMLElement, style: Style, theme: Theme): void {
  const { bold, dim, italic, underline, strike, inverse } = style;
  const fg = inverse ? style.bg : style.fg;
  const bg = inverse ? style.fg : style.bg;
  if (bold) element.style.fontWeight = '600';
  if (dim) element.classList.add('log-dim');
  if (italic) element.style.fontStyle = 'italic';
  const lines = [underline ? 'underline' : '', strike ? 'line-through' : ''].filter(Boolean);
  if (lines.length > 0) element.style.textDecoration = lines.join(' ');
  if (fg !== null) element.style.color = textColour(fg, theme, bg);
  if (bg !== null) {
    element.style.backgroundColor = groundColour(bg);
    if (fg === null) element.classList.add('log-on-colour');
  } else if (inverse) element.classList.add('log-inverse');
}
