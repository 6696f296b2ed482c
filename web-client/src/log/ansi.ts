// What a terminal would show of a line: colours, links, and what carriage returns and cursor movements within the line
// leave of it. Everything else that a terminal knows is dropped. Nothing here makes markup: text stays text.

/** A number up to 15 is a colour of the theme; anything else is `0xrrggbb` above 24 bits. */
export type Colour = number;
const TRUE_COLOUR = 0x1000000;

export interface Style {
  readonly fg: Colour | null;
  readonly bg: Colour | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strike: boolean;
  readonly link: string | null;
}

export interface Span {
  text: string;
  style: Style;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
  link: null,
};

/** As many cells a line may have that is written over; what is behind them is dropped. */
const CELLS_MAX = 20_000;

/** The parts of a true colour; null for one of the theme's. */
export function rgbOf(colour: Colour): [number, number, number] | null {
  if (colour < TRUE_COLOUR) return null;
  return [(colour >> 16) & 0xff, (colour >> 8) & 0xff, colour & 0xff];
}

// CSI, OSC (ended by BEL or ST, or cut off), two-character escapes, and control characters other than tab.
const CONTROL = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\]([^\x07\x1b]*)(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
/** Of most lines. */
const IS_PLAIN = /^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$/;

const MOVES = /[\r\b]|\x1b\[[0-9;]*[CDGKP]/;

/** The line in parts of one style each, and the style that it leaves behind. */
export function parse(line: string, before: Style = PLAIN): { spans: Span[]; after: Style } {
  if (IS_PLAIN.test(line)) return { spans: line === '' ? [] : [{ text: line, style: before }], after: before };
  const writer = MOVES.test(line) ? new Cells() : new Spans();
  let style = before;
  let end = 0;
  for (const found of line.matchAll(CONTROL)) {
    if (found.index > end) writer.write(line.slice(end, found.index), style);
    end = found.index + found[0].length;
    const [sequence, parameters, kind, command] = found;
    if (kind === 'm') style = restyled(style, parameters ?? '');
    else if (kind !== undefined) writer.move(kind, parameters ?? '');
    else if (command !== undefined) style = linked(style, command);
    else if (sequence === '\r' || sequence === '\b') writer.move(sequence, '');
  }
  if (end < line.length) writer.write(line.slice(end), style);
  return { spans: writer.spans(), after: style };
}

/** The text as a terminal shows it, without its colours. */
export function plainText(line: string): string {
  return parse(line)
    .spans.map(({ text }) => text)
    .join('');
}

interface Writer {
  write(text: string, style: Style): void;
  move(kind: string, parameters: string): void;
  spans(): Span[];
}

class Spans implements Writer {
  private readonly made: Span[] = [];

  write(text: string, style: Style): void {
    const last = this.made.at(-1);
    if (last !== undefined && last.style === style) last.text += text;
    else this.made.push({ text, style });
  }

  move(): void {}

  spans(): Span[] {
    return this.made;
  }
}

/** A line that is written over: the last write to a cell wins. */
class Cells implements Writer {
  private readonly characters: string[] = [];
  private readonly styles: Style[] = [];
  private at = 0;

  write(text: string, style: Style): void {
    for (const character of text) {
      if (this.at >= CELLS_MAX) return;
      while (this.characters.length < this.at) this.put(this.characters.length, ' ', PLAIN);
      this.put(this.at, character, style);
      this.at += 1;
    }
  }

  move(kind: string, parameters: string): void {
    const given = Number.parseInt(parameters, 10);
    const count = Number.isNaN(given) || given === 0 ? 1 : given;
    if (kind === '\r') this.at = 0;
    else if (kind === '\b' || kind === 'D') this.at = Math.max(0, this.at - (kind === 'D' ? count : 1));
    else if (kind === 'C') this.at = Math.min(CELLS_MAX, this.at + count);
    else if (kind === 'G') this.at = Math.min(CELLS_MAX, count - 1);
    else if (kind === 'P') this.remove(this.at, Math.min(count, CELLS_MAX));
    else if (kind === 'K') this.erase(Number.isNaN(given) ? 0 : given);
  }

  spans(): Span[] {
    const out = new Spans();
    this.characters.forEach((character, index) => out.write(character, this.styles[index] ?? PLAIN));
    return out.spans();
  }

  private erase(what: number): void {
    if (what === 0) this.remove(this.at, CELLS_MAX);
    else {
      const end = what === 2 ? this.characters.length : Math.min(this.at + 1, this.characters.length);
      for (let index = 0; index < end; index += 1) this.put(index, ' ', PLAIN);
    }
  }

  private remove(from: number, count: number): void {
    this.characters.splice(from, count);
    this.styles.splice(from, count);
  }

  private put(index: number, character: string, style: Style): void {
    this.characters[index] = character;
    this.styles[index] = style;
  }
}

function restyled(style: Style, parameters: string): Style {
  // A colon stands between the parts of one parameter, as in `38:2::10:20:30`.
  const codes = parameters.replace(/:+/g, ';').split(';').map((code) => (code === '' ? 0 : Number(code)));
  let next = style;
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index] ?? 0;
    if (code === 38 || code === 48) {
      const { colour, used } = extended(codes.slice(index + 1, index + 5));
      index += used;
      if (colour !== null) next = { ...next, [code === 38 ? 'fg' : 'bg']: colour };
    } else next = simple(next, code);
  }
  return next;
}

function simple(style: Style, code: number): Style {
  if (code === 0) return style.link === null ? PLAIN : { ...PLAIN, link: style.link };
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 3) return { ...style, italic: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 7) return { ...style, inverse: true };
  if (code === 9) return { ...style, strike: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 23) return { ...style, italic: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 27) return { ...style, inverse: false };
  if (code === 29) return { ...style, strike: false };
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code === 39) return { ...style, fg: null };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code === 49) return { ...style, bg: null };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 90 + 8 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 100 + 8 };
  return style;
}

/** What follows 38 or 48: `5;n` of 256 colours, or `2;r;g;b`. */
function extended(codes: number[]): { colour: Colour | null; used: number } {
  const [kind, a, b, c] = codes;
  if (kind === 5 && isByte(a)) return { colour: a < 16 ? a : ofPalette(a), used: 2 };
  if (kind === 2 && isByte(a) && isByte(b) && isByte(c)) return { colour: pack(a, b, c), used: 4 };
  return { colour: null, used: codes.length };
}

function isByte(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255;
}

function ofPalette(index: number): Colour {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return pack(grey, grey, grey);
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = index - 16;
  return pack(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function pack(r: number, g: number, b: number): Colour {
  return TRUE_COLOUR | (r << 16) | (g << 8) | b;
}

/** OSC 8 is a link; only one to the web is taken. */
function linked(style: Style, command: string): Style {
  const found = /^8;[^;]*;(.*)$/s.exec(command);
  if (found === null) return style;
  const address = found[1] ?? '';
  return { ...style, link: /^https?:\/\//i.test(address) ? address : null };
}
