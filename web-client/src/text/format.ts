import type { Catalogue } from './en';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const pad = (n: number) => String(n).padStart(2, '0');

/** `0.3 s`, `12.0 s`, `1m 12s`, `2h 05m`: as exact as is of use. */
export function duration(ms: number, { units }: Catalogue): string {
  const time = Math.max(0, ms);
  if (time < 100) return units.ms(Math.round(time));
  if (time < MINUTE - 50) return units.s((time / SECOND).toFixed(time < 10 * SECOND ? 1 : 0));
  const seconds = Math.round(time / SECOND);
  if (seconds < 3_600) return units.minutes(Math.floor(seconds / 60), pad(seconds % 60));
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return units.hours(Math.floor(minutes / 60), pad(minutes % 60));
  return units.days(Math.floor(time / DAY), Math.floor((time % DAY) / HOUR));
}

/** `0:41`, `1:02:03`: of something that goes on, in whole seconds so that its width is calm. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** `4 min ago`, `in 3 hr`. */
export function relative(time: number, now: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
  const ms = time - now;
  const size = Math.abs(ms);
  if (size < MINUTE) return format.format(Math.round(ms / SECOND), 'second');
  if (size < HOUR) return format.format(Math.round(ms / MINUTE), 'minute');
  if (size < DAY) return format.format(Math.round(ms / HOUR), 'hour');
  if (size < 30 * DAY) return format.format(Math.round(ms / DAY), 'day');
  if (size < 365 * DAY) return format.format(Math.round(ms / (30 * DAY)), 'month');
  return format.format(Math.round(ms / (365 * DAY)), 'year');
}

export function absolute(time: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(time);
}

export function timeOfDay(time: number, language: string): string {
  return new Intl.DateTimeFormat(language, { timeStyle: 'short' }).format(time);
}

/** `0:01.250` since something, as a log's column shows it. */
export function sinceStart(ms: number): string {
  const sign = ms < 0 ? '-' : '';
  const size = Math.abs(ms);
  return `${sign}${clock(size)}.${String(Math.floor(size % SECOND)).padStart(3, '0')}`;
}

/** `14:02:03.120`, in the reader's zone. */
export function exactTimeOfDay(time: number): string {
  const date = new Date(time);
  const [h, m, s] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad);
  return `${h}:${m}:${s}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export function bytes(size: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
