import type { RunId } from '@slipway/client';
import { CaseSensitive, ChevronDown, ChevronUp, Regex, X } from 'lucide-react';
import { useEffect, useEffectEvent, useState, type RefObject } from 'react';

import { client } from '../api/client';
import { explain } from '../api/errors';
import { useShortcuts } from '../keys';
import { SOUGHT_MAX, type Sought } from '../search';
import { useText } from '../text';
import { Button } from '../ui/Button';
import { useDebounced } from '../ui/debounced';
import { Highlights } from './highlights';
import { Hits, type Wanted } from './hits';
import { HitMarks } from './MarkColumn';

interface Props {
  runId: RunId;
  /** The lines that the log has now: a log that grows is searched again on request. */
  total: number;
  sought: Sought;
  onSought: (sought: Sought) => void;
  scroller: RefObject<HTMLDivElement | null>;
  onGo: (n: number) => void;
  onClose: () => void;
}

/** Searches the whole log on the server, and shows what is found while it goes on. */
export function Search({ runId, total, sought, onSought, scroller, onGo, onClose }: Props) {
  const text = useText();
  const { q = '', ...how } = sought;
  const [matchCase, regex] = [how.case === 1, how.regex === 1];
  const { shown, setShown, tellNow } = useDebounced(q, (next) => onSought(next === '' ? how : { ...how, q: next }));
  const [turn, setTurn] = useState(0);
  const [, redraw] = useState(0);
  const [hits] = useState(() => new Hits((wanted, listener) => client.runs.searchLogs.subscribe(wanted, listener)));
  const go = useEffectEvent(onGo);

  useEffect(() => {
    hits.onChange = () => redraw((count) => count + 1);
    hits.onArrive = (n) => go(n);
    return () => hits.close();
  }, [hits]);
  useEffect(() => {
    const wanted: Wanted = { runId, text: q, regex, matchCase };
    hits.search(wanted);
  }, [hits, runId, q, regex, matchCase, turn]);
  useEffect(() => {
    if (scroller.current === null) return;
    const highlights = new Highlights(scroller.current, q, regex, matchCase);
    return () => highlights.close();
  }, [scroller, q, regex, matchCase]);
  useEffect(() => Highlights.setNow(hits.now), [hits, hits.now]);
  useShortcuts({
    n: () => hits.next(),
    N: () => hits.previous(),
  });

  const found = hits.found;
  const count = found?.count ?? 0;
  const state =
    q === ''
      ? ''
      : found === null || (!found.done && count === 0)
        ? text.log.search.looking
        : count === 0
          ? text.log.search.none
          : text.log.search.at(hits.at, count);
  const setHow = (name: 'case' | 'regex') => {
    const { [name]: was, ...rest } = sought;
    onSought(was === 1 ? rest : { ...rest, [name]: 1 });
  };
  const toggle = (isOn: boolean) => (isOn ? 'bg-muted! text-text!' : '');
  const grown = found?.done === true && total > found.total ? total - found.total : 0;
  return (
    <>
      <form
        role="search"
        className="flex min-w-0 flex-1 items-center gap-1"
        onSubmit={(event) => {
          event.preventDefault();
          // Whoever ends what is typed with Enter wants its first line.
          if (!tellNow()) hits.next();
        }}
      >
        <input
          data-filter
          autoFocus
          type="search"
          maxLength={SOUGHT_MAX}
          value={shown}
          aria-label={text.log.search.label}
          aria-invalid={hits.error !== null}
          placeholder={text.log.search.label}
          className="field min-h-7! w-24! min-w-20 flex-1 py-0.5! sm:max-w-64"
          onChange={({ target }) => setShown(target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') onClose();
            else if (event.key === 'Enter' && event.shiftKey) {
              event.preventDefault();
              hits.previous();
            }
          }}
        />
        <Button
          kind="quiet"
          icon={<CaseSensitive size={15} />}
          aria-pressed={matchCase}
          aria-label={text.log.search.matchCase}
          title={text.log.search.matchCase}
          className={toggle(matchCase)}
          onClick={() => setHow('case')}
        />
        <Button
          kind="quiet"
          icon={<Regex size={15} />}
          aria-pressed={regex}
          aria-label={text.log.search.regex}
          title={text.log.search.regex}
          className={toggle(regex)}
          onClick={() => setHow('regex')}
        />
        <p role="status" className="px-1 text-meta whitespace-nowrap text-text-2 tabular-nums">
          {hits.error === null ? state : <span className="text-failed">{explain(hits.error, text).words}</span>}
        </p>
        {grown > 0 && (
          <button type="button" className="link text-meta whitespace-nowrap" onClick={() => setTurn(turn + 1)}>
            {text.log.search.again(grown)}
          </button>
        )}
        <Button
          kind="quiet"
          icon={<ChevronUp size={15} />}
          disabled={count === 0}
          aria-label={text.log.search.previous}
          title={`${text.log.search.previous} (N)`}
          onClick={() => hits.previous()}
        />
        <Button
          kind="quiet"
          icon={<ChevronDown size={15} />}
          disabled={count === 0}
          aria-label={text.log.search.next}
          title={`${text.log.search.next} (n)`}
          onClick={() => hits.next()}
        />
        <Button kind="quiet" icon={<X size={15} />} aria-label={text.log.search.close} title={`${text.log.search.close} (Esc)`} onClick={onClose} />
      </form>
      <HitMarks marks={found?.marks ?? []} onPart={(part) => hits.goToPart(part)} />
    </>
  );
}
