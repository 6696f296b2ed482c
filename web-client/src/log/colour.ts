import { rgbOf, type Colour } from './ansi';

/** What text needs against its ground, by WCAG 2. */
const CONTRAST_MIN = 4.5;
const STEPS = 12;

type Rgb = [number, number, number];

const GROUND: Record<'light' | 'dark', Rgb> = { light: [0xfb, 0xfb, 0xfd], dark: [0x0a, 0x0c, 0x10] };

export type Theme = keyof typeof GROUND;

/** As CSS writes it. A colour of the log's own is moved away from the ground until it can be read there. */
export function textColour(colour: Colour, theme: Theme, ground: Colour | null): string {
  const rgb = rgbOf(colour);
  if (rgb === null) return `var(--ansi-${colour})`;
  const behind = (ground === null ? null : rgbOf(ground)) ?? GROUND[theme];
  return css(readable(rgb, behind));
}

export function groundColour(colour: Colour): string {
  const rgb = rgbOf(colour);
  return rgb === null ? `var(--ansi-${colour})` : css(rgb);
}

export function readable(rgb: Rgb, behind: Rgb): Rgb {
  const goal = luminance(behind) > 0.18 ? 0 : 255;
  for (let step = 0; step <= STEPS; step += 1) {
    const share = step / STEPS;
    const mixed = rgb.map((part) => Math.round(part + (goal - part) * share)) as Rgb;
    if (contrast(mixed, behind) >= CONTRAST_MIN) return mixed;
  }
  return [goal, goal, goal];
}

export function contrast(a: Rgb, b: Rgb): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance([r, g, b]: Rgb): number {
  const linear = (part: number) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}
