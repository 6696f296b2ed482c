const units = { d: 'day', h: 'hour', m: 'minute', s: 'second', ms: 'millisecond' } as const;

/** `90 days`, `1 day 12 hours`, of what the server says as `90d`, `1d12h`. */
export function span(text: string, language: string): string {
  const parts = text.matchAll(/(\d+)(ms|[dhms])/g);
  return Array.from(parts, ([, amount, unit]) => {
    const options = { style: 'unit', unit: units[unit as keyof typeof units], unitDisplay: 'long' } as const;
    return new Intl.NumberFormat(language, options).format(Number(amount));
  }).join(' ');
}
