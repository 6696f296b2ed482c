import { useConnection } from '../api/connection';
import { useLanguage, useText } from '../text';
import { timeOfDay } from '../text/format';

/** Whether what is shown is what is: a form and a word, never a colour alone. */
export function ConnectionMark() {
  const { connection: words } = useText();
  const language = useLanguage();
  const state = useConnection();
  const { word, colour, sign } = {
    live: { word: words.live, colour: 'text-succeeded', sign: <circle cx="8" cy="8" r="4" fill="currentColor" /> },
    reconnecting: {
      word: words.reconnecting,
      colour: 'text-waiting',
      sign: <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" strokeWidth="2" strokeDasharray="3 2.6" />,
    },
    offline: {
      word: words.offline(state.kind === 'offline' ? timeOfDay(state.since, language) : ''),
      colour: 'text-failed',
      sign: <path d="M8 2.5l6 11H2z" fill="currentColor" />,
    },
  }[state.kind];
  return (
    <p role="status" data-connection={state.kind} className="inline-flex items-center gap-1.5 px-1 whitespace-nowrap text-text-2">
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden className={colour}>
        {sign}
      </svg>
      <span className={state.kind === 'live' ? 'sr-only sm:not-sr-only' : ''}>{word}</span>
    </p>
  );
}
