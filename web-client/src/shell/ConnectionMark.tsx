import { useConnection } from '../api/connection';
import { useLanguage, useText } from '../text';
import { timeOfDay } from '../text/format';

/** Whether what is shown is what is: a form and a word, never a colour alone. */
export function ConnectionMark() {
  const { connection: words } = useText();
  const language = useLanguage();
  const state = useConnection();
  if (state.kind === 'newVersion') {
    return (
      <button
        type="button"
        onClick={() => window.location.reload()}
        className="target inline-flex h-7 items-center gap-1.5 rounded-full border border-accent px-2.5 font-medium whitespace-nowrap text-accent hover:bg-muted"
      >
        <Mark d="M12.5 8a4.5 4.5 0 1 1-1.4-3.2M11.4 2v3h-3" />
        {words.newVersion}
      </button>
    );
  }
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

function Mark({ d }: { d: string }) {
  return (
    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden>
      <path d={d} fill="none" stroke="currentColor" strokeWidth="1.75" />
    </svg>
  );
}
