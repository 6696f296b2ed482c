import { useLanguage, useText } from '../text';
import { absolute, clock, duration, relative } from '../text/format';
import { useNow } from '../time';

/** How long ago, or how long until; the exact time in the reader's zone is its title. */
export function Time({ at }: { at: string }) {
  const language = useLanguage();
  const now = useNow('minute');
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={absolute(time, language)} className="whitespace-nowrap">
      {relative(time, now, language)}
    </time>
  );
}

/** How long something took, or has taken so far. */
export function Duration({ from, to }: { from: string | null; to: string | null }) {
  const text = useText();
  const now = useNow(from !== null && to === null ? 'second' : 'never');
  if (from === null) return null;
  const start = Date.parse(from);
  const words = to === null ? clock(now - start) : duration(Date.parse(to) - start, text);
  return <span className="whitespace-nowrap tabular-nums">{words}</span>;
}
