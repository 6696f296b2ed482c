import './log.css';

import type { RunDetails, RunStatus } from '@slipway/client';
import { ArrowDownToLine, ChevronsDownUp, ChevronsUpDown, Clock, Download, FileText, Hash, ListFilter, Search as SearchIcon, WrapText } from 'lucide-react';
import {
  lazy,
  Suspense,
  useEffect,
  useEffectEvent,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type Ref,
} from 'react';

import { client, following } from '../api/client';
import { isLive } from '../run/status';
import { useShortcuts } from '../keys';
import type { Sought } from '../search';
import { useSetting, useTheme } from '../settings';
import { useLanguage, useText } from '../text';
import { bytes, exactTimeOfDay, relative, sinceStart } from '../text/format';
import { useNow } from '../time';
import { explain } from '../api/errors';
import { reader } from '../api/lines';
import { Button } from '../ui/Button';
import { failureOf, faultsOf, isAlone, segmentsOf, type Fault, type StepSegment } from './segments';
import { LogModel } from './model';
import { formatRange, parseRange, type Range } from './range';
import type { View, Words } from './view';
import { LogViewer } from './viewer';

const Announcer = lazy(() => import('./Announcer').then(({ Announcer }) => ({ default: Announcer })));
const CopyRange = lazy(() => import('./CopyRange').then(({ CopyRange }) => ({ default: CopyRange })));
const FaultMarks = lazy(() => import('./MarkColumn').then(({ FaultMarks }) => ({ default: FaultMarks })));
const GoTo = lazy(() => import('./GoTo').then(({ GoTo }) => ({ default: GoTo })));
const Search = lazy(() => import('./Search').then(({ Search }) => ({ default: Search })));

/** A long log of several steps that went well is opened folded: nobody came to read it all. */
const FOLDED_LINES_MIN = 2_000;
/** Without a line for so long, a step that runs is worth a word. */
const QUIET_MS = 60_000;

export interface LogHandle {
  goToStep: (name: string, attempt?: number) => void;
  goToFailure: () => void;
  goToLine: (n: number) => void;
}

interface Props {
  run: RunDetails;
  hash: string;
  onHash: (hash: string) => void;
  /** What the log is searched for. */
  sought: Sought;
  onSought: (sought: Sought) => void;
  /** The step whose lines are uppermost. */
  onStep: (name: string | null) => void;
  ref?: Ref<LogHandle>;
}

/** The log of a run: every line of it once, however long it is, as it is printed. */
export function LogView({ run, hash, onHash, sought, onSought, onStep, ref }: Props) {
  const text = useText();
  const theme = useTheme();
  const [wrap, setWrap] = useSetting('wrap');
  const [times, setTimes] = useSetting('times');
  const scroller = useRef<HTMLDivElement>(null);
  const viewer = useRef<LogViewer>(null);
  const [view, setView] = useState<View | null>(null);
  const [folded, setFolded] = useState<ReadonlySet<string>>(() => new Set());
  const [seenTotal, setSeenTotal] = useState(0);
  const lastFault = useRef<string | null>(null);
  const [only, setOnly] = useState<string | null>(null);
  const [isGoing, setGoing] = useState(false);
  const [isSearching, setSearching] = useState(sought.q !== undefined);
  const runId = run.id;

  const model = useMemo(() => new LogModel(reader(runId)), [runId]);
  const isRunLive = isLive(run.status);
  const total = useStream(model, run);
  const segments = useMemo(
    () => segmentsOf(run, total, (step, attempt) => model.span(step, attempt)),
    // What was seen of a step is more when other lines are seen.
    [run, total, model, view?.spans],
  );
  const faults = useMemo(() => faultsOf(segments), [segments]);
  const chosen = parseRange(hash);
  const start = Date.parse(run.startedAt ?? run.createdAt);

  const words: Words = {
    head: (segment, isFolded, canFold) => {
      const step = segment as StepSegment;
      return {
        id: step.id,
        step: step.step,
        attempt: step.attempt > 1 || step.isEarlier ? step.attempt : null,
        attemptWord: text.log.attempt(step.attempt),
        status: step.status,
        statusWord: step.exitCode === null || step.exitCode === 0 ? text.status[step.status] : `${text.status[step.status]}, ${text.run.exit(step.exitCode)}`,
        took: step.took(text),
        lines: canFold && isFolded ? text.log.count(step.last - step.first + 1) : '',
        canFold,
        isFolded,
        foldLabel: isFolded ? text.log.unfold(step.step) : text.log.fold(step.step),
      };
    },
    time: (at) => (times === 'abs' ? exactTimeOfDay(at) : sinceStart(at - start)),
    line: text.log.line,
    showAll: (size) => text.log.showAll(bytes(size)),
  };

  const choose = useEffectEvent((range: Range | null, extend: boolean) => {
    if (range === null) return onHash('');
    const before = parseRange(hash);
    const from = extend && before !== null ? Math.min(before.from, range.from) : range.from;
    const to = extend && before !== null ? Math.max(before.from, range.to) : range.to;
    onHash(formatRange({ from, to }));
  });
  const fold = (id: string) =>
    setFolded((all) => {
      const next = new Set(all);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const see = useEffectEvent((next: View) => {
    setView(next);
    if (next.isFollowing || next.isAtEnd) setSeenTotal(model.total);
    onStep(next.step);
  });
  const look = { wrap: wrap === 'on', times, theme } as const;
  const now = useEffectEvent(() => ({ words, look, chosen }));
  const opening = useEffectEvent((made: LogViewer) => {
    const isLong = model.total >= FOLDED_LINES_MIN && segments.length > 1;
    const closed = run.status === 'succeeded' && isLong && chosen === null ? new Set(segments.map(({ id }) => id)) : folded;
    setFolded(closed);
    const failure = failureOf(faults);
    if (chosen !== null) made.open(segments, closed, { n: chosen.from, place: 'third' });
    else if (isRunLive) made.open(segments, closed, 'end');
    else if (failure !== null) made.open(segments, closed, { n: failure.n, place: failure.isError ? 'third' : 'end' });
    else made.open(segments, closed, 'top');
  });

  useEffect(() => viewer.current?.setWords(now().words), [text, times, start]);
  useEffect(() => viewer.current?.setLook(now().look), [wrap, times, theme]);
  useEffect(() => viewer.current?.setSegments(segments, folded, only), [segments, folded, only]);
  const [from, to] = [chosen?.from ?? 0, chosen?.to ?? 0];
  useEffect(() => viewer.current?.setChosen(from === 0 ? null : { from, to }), [from, to]);
  // After the others: what it opens with it has from the start, and is drawn once.
  useEffect(() => {
    if (scroller.current === null) return;
    const made = new LogViewer({
      scroller: scroller.current,
      model,
      ...now(),
      onView: (next) => see(next),
      onFold: fold,
      onChoose: (range, extend) => choose(range, extend),
    });
    viewer.current = made;
    opening(made);
    return () => {
      made.close();
      viewer.current = null;
    };
  }, [model]);
  const followHash = useEffectEvent(() => {
    const range = parseRange(window.location.hash);
    if (range !== null) goToLine(range.from);
  });
  useEffect(() => {
    const follow = () => followHash();
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);

  /** A line that may be folded away, or of a step that is not shown. */
  const goToLine = (n: number, place?: 'end') => {
    const holds = new Set(segments.filter(({ first, last }) => first <= n && n <= last).map(({ id }) => id));
    setFolded((all) => ([...all].some((id) => holds.has(id)) ? new Set([...all].filter((id) => !holds.has(id))) : all));
    setOnly((shown) => (shown === null || holds.has(shown) ? shown : null));
    requestAnimationFrame(() => viewer.current?.goTo(n, place));
  };
  const goToFault = (fault: Fault | null | undefined) => {
    if (fault === null || fault === undefined) return;
    lastFault.current = fault.id;
    // What led to an end without an error stands before it.
    goToLine(fault.n, fault.isError ? undefined : 'end');
    onHash(formatRange({ from: fault.n, to: fault.n }));
  };
  /** To the failure first, and from there to the others in turn. */
  const goToNextFault = (by: 1 | -1) => {
    const index = faults.findIndex(({ id }) => id === lastFault.current);
    goToFault(index < 0 ? (failureOf(faults) ?? faults.at(-1)) : faults.at((index + by) % faults.length));
  };
  const goToFailure = () => goToFault(failureOf(faults));
  useImperativeHandle(ref, () => ({
    goToStep: (name, attempt) => {
      const own = segments.filter(({ step }) => step === name);
      const segment = own.find((each) => each.attempt === attempt) ?? own.at(-1);
      if (segment === undefined) return;
      // Where one step alone is shown, it is now this one.
      setOnly((shown) => (shown === null ? null : segment.id));
      viewer.current?.goToHead(segment);
    },
    goToFailure,
    goToLine: (n) => {
      goToLine(n);
      onHash(formatRange({ from: n, to: n }));
    },
  }));

  const endSearch = () => {
    setSearching(false);
    onSought({});
  };
  const follow = () => {
    if (view?.isFollowing === true) viewer.current?.follow(false);
    else viewer.current?.goToEnd('end');
  };
  const foldable = segments.length > 0;
  const showOnly = () => {
    const n = viewer.current?.top ?? 0;
    const segment = segments.filter((each) => each.first <= n && n <= each.last && isAlone(each, segments)).at(-1);
    setOnly(only === null ? (segment?.id ?? null) : null);
  };
  const isAllFolded = foldable && segments.every(({ id }) => folded.has(id));
  useShortcuts({
    f: follow,
    w: () => setWrap(wrap === 'on' ? 'off' : 'on'),
    e: () => goToNextFault(1),
    E: () => goToNextFault(-1),
    ':': () => setGoing(true),
    Escape: () => {
      if (isSearching) endSearch();
      else if (hash !== '') onHash('');
    },
  });
  const press = (event: KeyboardEvent) => {
    if (event.target !== scroller.current || event.altKey) return;
    const isCommand = event.ctrlKey || event.metaKey;
    // The browser would take what is drawn for all there is.
    if (isCommand && event.key === 'a' && total > 0) onHash(formatRange({ from: 1, to: total }));
    else if (isCommand) return;
    else if (event.key === 'Home') viewer.current?.goToEnd('start');
    else if (event.key === 'End') viewer.current?.goToEnd('end');
    else return;
    event.preventDefault();
  };
  const fresh = view?.isFollowing === false && isRunLive ? total - seenTotal : 0;
  const nextTimes = { off: 'rel', rel: 'abs', abs: 'off' } as const;
  return (
    <section aria-label={text.log.title} className="relative flex h-full min-h-0 flex-col" data-live={isRunLive ? 'yes' : 'no'} data-total={total}>
      <div className="flex h-10 shrink-0 items-center gap-1 overflow-x-auto [&>button]:shrink-0 border-b border-border px-2">
        <p className="px-1 text-meta whitespace-nowrap text-text-2 tabular-nums">{text.log.count(total)}</p>
        <Missing view={view} model={model} left={isRunLive ? 0 : Math.max(0, run.lines - total)} />
        {!isSearching ? (
          <span className="flex-1" />
        ) : (
          <Suspense fallback={<span className="flex-1" />}>
            <Search runId={runId} total={total} sought={sought} onSought={onSought} scroller={scroller} onGo={goToLine} onClose={endSearch} />
          </Suspense>
        )}
        {!isSearching && (
          <Button
            kind="quiet"
            data-filter
            icon={<SearchIcon size={15} />}
            title={`${text.log.search.label} (/)`}
            aria-label={text.log.search.label}
            onClick={() => setSearching(true)}
          />
        )}
        <Suspense>{chosen !== null && <CopyRange range={chosen} runId={runId} />}</Suspense>
        {isGoing ? (
          <Suspense>
            <GoTo
              max={total}
              onClose={(n) => {
                setGoing(false);
                if (n === null) return;
                onHash(formatRange({ from: n, to: n }));
                goToLine(n);
              }}
            />
          </Suspense>
        ) : (
          <Button
            kind="quiet"
            icon={<Hash size={15} />}
            title={`${text.log.goTo} (:)`}
            aria-label={text.log.goTo}
            className="hidden! sm:inline-flex!"
            onClick={() => setGoing(true)}
          />
        )}
        <Button
          kind="quiet"
          icon={<ArrowDownToLine size={15} />}
          aria-pressed={view?.isFollowing ?? false}
          title={`${text.log.follow} (f)`}
          className={view?.isFollowing === true ? 'bg-muted! text-text!' : ''}
          onClick={follow}
        >
          <span className="sr-only xl:not-sr-only">{text.log.follow}</span>
        </Button>
        <Button
          kind="quiet"
          icon={<WrapText size={15} />}
          aria-pressed={wrap === 'on'}
          aria-label={text.log.wrap}
          title={`${text.log.wrap} (w)`}
          className={wrap === 'on' ? 'bg-muted! text-text!' : ''}
          onClick={() => setWrap(wrap === 'on' ? 'off' : 'on')}
        />
        <Button
          kind="quiet"
          icon={<Clock size={15} />}
          aria-label={`${text.log.time}: ${text.log.times[times]}`}
          title={text.log.times[nextTimes[times]]}
          className={times === 'off' ? '' : 'bg-muted! text-text!'}
          onClick={() => setTimes(nextTimes[times])}
        />
        {segments.length > 1 && (
          <Button
            kind="quiet"
            icon={<ListFilter size={15} />}
            aria-pressed={only !== null}
            aria-label={only === null ? text.log.onlyStep : text.log.allSteps}
            title={only === null ? text.log.onlyStep : text.log.allSteps}
            className={`hidden! sm:inline-flex! ${only === null ? '' : 'bg-muted! text-text!'}`}
            onClick={showOnly}
          />
        )}
        {foldable && (
          <Button
            kind="quiet"
            icon={isAllFolded ? <ChevronsUpDown size={15} /> : <ChevronsDownUp size={15} />}
            aria-label={isAllFolded ? text.log.unfoldAll : text.log.foldAll}
            title={isAllFolded ? text.log.unfoldAll : text.log.foldAll}
            onClick={() => setFolded(isAllFolded ? new Set() : new Set(segments.map(({ id }) => id)))}
          />
        )}
        <WholeLog run={run} />
      </div>
      <div className="relative min-h-0 flex-1">
        <div
          ref={scroller}
          role="region"
          aria-label={text.log.title}
          tabIndex={0}
          onKeyDown={press}
          className={`log-scroller absolute inset-0 ${wrap === 'on' ? 'is-wrapped' : ''}`}
          style={{ '--log-digits': `${Math.max(4, String(total).length) + 3}ch` }}
        />
        {total === 0 && (
          <p className="pointer-events-none absolute inset-x-0 top-16 text-center text-text-2">
            {isRunLive ? text.log.empty : run.logPurgedBy === null ? text.log.emptyEnded : text.log.purged(run.logPurgedBy)}
          </p>
        )}
        {fresh > 0 && (
          <button
            type="button"
            onClick={() => viewer.current?.goToEnd('end')}
            className="absolute bottom-4 left-1/2 inline-flex h-8 -translate-x-1/2 items-center gap-1.5 rounded-full bg-accent px-3.5 font-medium text-on-accent shadow-float"
          >
            <ArrowDownToLine size={14} aria-hidden />
            {text.log.newLines(fresh)}
          </button>
        )}
      </div>
      <Suspense>
        {faults.length > 0 && <FaultMarks faults={faults} total={total} onGo={goToFault} />}
        <Announcer run={run} total={total} />
      </Suspense>
      <Quiet run={run} />
    </section>
  );
}

/** Has the stream bring what is printed while the run goes on; gives how many lines there are. */
function useStream(model: LogModel, run: RunDetails): number {
  const [total, setTotal] = useState(run.lines);
  const { id: runId, lines } = run;
  const isRunLive = isLive(run.status);
  const known = useEffectEvent(() => lines);
  useEffect(() => {
    model.know(known());
    model.streamed = model.total;
    setTotal(model.total);
    let frame: number | undefined;
    // Once a frame, however many lines came.
    model.onTotal = () => {
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setTotal(model.total);
      });
    };
    const wake = () => model.wake();
    addEventListener('online', wake);
    return () => {
      removeEventListener('online', wake);
      if (frame !== undefined) cancelAnimationFrame(frame);
      model.onTotal = () => {};
      model.close();
    };
  }, [model]);
  // While the stream tells of the lines, whatever is said of them elsewhere runs ahead of it and would leave empty rows.
  const isTold = useRef(false);
  useEffect(() => {
    if (!isTold.current) model.know(lines);
  }, [model, lines]);
  const stream = useRef<{ unsubscribe: () => void } | null>(null);
  useEffect(() => {
    if (!isRunLive || stream.current !== null) return;
    const untold = () => {
      isTold.current = false;
      model.know(known());
    };
    stream.current = client.pipelines.streamLogs.subscribe(
      { runId, after: model.streamed },
      {
        onData: (line) => model.push(line),
        onConnectionStateChange: (change) => {
          following.onConnectionStateChange(change);
          isTold.current = change.state === 'pending';
          if (isTold.current) model.wake();
        },
        onError: (error) => {
          following.onError(error);
          untold();
        },
        onComplete: () => {
          stream.current = null;
          untold();
        },
      },
    );
    // The end of the run is not the end of its lines: only the stream says that.
  }, [isRunLive, model, runId]);
  useEffect(
    () => () => {
      stream.current?.unsubscribe();
      stream.current = null;
      isTold.current = false;
    },
    [model],
  );
  return total;
}

/** That lines are being read, or cannot be. */
function Missing({ view, model, left }: { view: View | null; model: LogModel; left: number }) {
  const text = useText();
  const missing = view?.missing ?? 0;
  if (missing === 0 && left === 0) return null;
  const hasFailed = model.failure !== null || left > 0;
  return (
    <p role="status" className={`flex items-center gap-2 text-meta whitespace-nowrap ${hasFailed ? 'text-failed' : 'text-text-2'}`}>
      ⋯ {hasFailed ? text.log.missing(missing + left) : text.log.filling(missing)}
      {hasFailed && (
        <button type="button" className="link" onClick={() => model.wake()}>
          {text.actions.retry}
        </button>
      )}
    </p>
  );
}

/** All of it as it was printed: to look at, and to keep. */
function WholeLog({ run }: { run: RunDetails }) {
  const text = useText();
  const [busy, setBusy] = useState<'look' | 'keep' | null>(null);
  const [error, setError] = useState<unknown>(null);
  const get = async (what: 'look' | 'keep') => {
    setBusy(what);
    setError(null);
    try {
      const { plainTextAddress, save } = await import('./whole');
      const address = await plainTextAddress(run.id);
      if (what === 'look') window.open(address, '_blank', 'noopener');
      else save(address, `${run.pipelineName.replaceAll('/', '-')}-${run.number}.log`);
    } catch (caught) {
      setError(caught);
    }
    setBusy(null);
  };
  return (
    <>
      {error !== null && <span role="alert" className="text-meta text-failed">{explain(error, text).words}</span>}
      <Button
        kind="quiet"
        icon={<FileText size={15} />}
        isBusy={busy === 'look'}
        aria-label={text.log.plain}
        title={text.log.plain}
        className="hidden! sm:inline-flex!"
        onClick={() => void get('look')}
      />
      <Button
        kind="quiet"
        icon={<Download size={15} />}
        isBusy={busy === 'keep'}
        aria-label={text.log.download}
        title={text.log.download}
        onClick={() => void get('keep')}
      />
    </>
  );
}

/** That nothing was printed for long, though something runs. */
function Quiet({ run }: { run: RunDetails }) {
  const text = useText();
  const language = useLanguage();
  const status: RunStatus = run.status;
  const now = useNow(status === 'running' ? 'minute' : 'never');
  if (status !== 'running' || run.lastLineAt === null) return null;
  const last = Date.parse(run.lastLineAt);
  if (now - last < QUIET_MS) return null;
  return (
    <p className="shrink-0 border-t border-border bg-subtle px-3 py-1.5 text-meta text-text-2">
      {text.log.quiet(relative(last, now, language))}
    </p>
  );
}
