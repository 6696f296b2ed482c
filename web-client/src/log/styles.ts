import { parse, PLAIN, type Style } from './ansi';
import type { LogModel } from './model';

/** Lines above that may have set the colour of the first one that is drawn. */
const STYLE_LINES_MAX = 500;

/** The style that the lines of a step before leave to a line. */
export class Styles {
  private readonly last = new Map<string, Style>();
  private readTo = 0;

  constructor(private readonly model: LogModel) {}

  before(n: number): Style {
    const own = this.model.line(n);
    if (own === undefined) return PLAIN;
    const begin = Math.max(this.readTo + 1, n - STYLE_LINES_MAX, 1);
    for (let each = begin; each < n; each += 1) {
      const line = this.model.line(each);
      // Most lines have no colours, and leave what was.
      if (line === undefined || !line.text.includes('\x1b')) continue;
      const key = `${line.step} ${line.attempt} ${line.stream}`;
      this.last.set(key, parse(line.text, this.last.get(key)).after);
    }
    this.readTo = Math.max(this.readTo, n - 1);
    return this.last.get(`${own.step} ${own.attempt} ${own.stream}`) ?? PLAIN;
  }
}
