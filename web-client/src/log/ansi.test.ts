import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parse, PLAIN, plainText, rgbOf } from './ansi';

const ESC = '\x1b';
const spans = (line: string) => parse(line).spans.map(({ text, style }) => [text, style] as const);

describe('colours', () => {
  test('are set, reset, and carried to the next line', () => {
    expect(spans(`a${ESC}[31mb${ESC}[0mc`)).toEqual([
      ['a', PLAIN],
      ['b', { ...PLAIN, fg: 1 }],
      ['c', PLAIN],
    ]);
    const { after } = parse(`${ESC}[1;92mgreen`);
    expect(after).toEqual({ ...PLAIN, bold: true, fg: 10 });
    expect(parse('still', after).spans).toEqual([{ text: 'still', style: after }]);
  });

  test.each([
    [`${ESC}[38;5;9mx`, 9],
    [`${ESC}[38;5;196mx`, [255, 0, 0]],
    [`${ESC}[38;5;244mx`, [128, 128, 128]],
    [`${ESC}[38;2;1;2;3mx`, [1, 2, 3]],
    [`${ESC}[38:2::1:2:3mx`, [1, 2, 3]],
  ])('of %j', (line, expected) => {
    const fg = parse(line).after.fg ?? -1;
    expect(typeof expected === 'number' ? fg : rgbOf(fg)).toEqual(expected);
  });

  test.each(['38', '38;5', '38;5;999', '38;2;1', '38;7;1', '999', ';;;'])('of the broken %s leave the text', (code) => {
    expect(plainText(`${ESC}[${code}mtext`)).toBe('text');
  });
});

describe('what a terminal would show', () => {
  test.each([
    ['10%\r50%\r100%', '100%'],
    ['abcdef\rxy', 'xycdef'],
    [`abcdef\r${ESC}[Kxy`, 'xy'],
    [`abc${ESC}[2K\rxy`, 'xy '],
    ['abc\b\bX', 'aXc'],
    [`abc${ESC}[1GX`, 'Xbc'],
    [`abc${ESC}[2DX`, 'aXc'],
    [`a${ESC}[3Cb`, 'a   b'],
    ['windows\r', 'windows'],
    [`${ESC}[2J${ESC}[1;1Htext${ESC}[5A`, 'text'],
    [`${ESC}]0;title\x07text`, 'text'],
    ['a\tb\0c\x07', 'a\tbc'],
    [`cut off ${ESC}[31`, 'cut off 31'],
    ['<b>&amp;</b>', '<b>&amp;</b>'],
  ])('of %j is %j', (line, shown) => {
    expect(plainText(line)).toBe(shown);
  });

  test('a link leads to the web or nowhere', () => {
    const link = (address: string) => parse(`${ESC}]8;;${address}${ESC}\\here${ESC}]8;;${ESC}\\`).spans[0]?.style.link;
    expect(link('https://example.org/a')).toBe('https://example.org/a');
    expect(link('javascript:alert(1)')).toBeNull();
  });
});

test('any text is shown in bounded time, without a control character', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(ESC, `${ESC}[`, `${ESC}]8;;`, '\r', '\b', `${ESC}[99999G`, `${ESC}[99999P`, `${ESC}[31m`, 'K', 'm', ';'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const shown = plainText(pieces.join(''));
      expect(shown).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
      expect([...shown].length).toBeLessThanOrEqual(Math.max(20_000, pieces.join('').length));
    }),
  );
});
