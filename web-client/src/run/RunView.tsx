import type { RunDetails } from '@slipway/client';
import { useLocation, useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useRef, useState } from 'react';

import { useShortcuts } from '../keys';
import { LogView, type LogHandle } from '../log/LogView';
import { told, type Panel } from '../search';
import { useText } from '../text';
import { copyText } from '../ui/copy';
import { Header } from './Header';
import { Steps } from './Steps';
import { useRunActions } from './actions';

const Details = lazy(() => import('./Details').then(({ Details }) => ({ default: Details })));
const Graph = lazy(() => import('./Graph').then(({ Graph }) => ({ default: Graph })));
const Timeline = lazy(() => import('./Timeline').then(({ Timeline }) => ({ default: Timeline })));

type Shown = Panel | 'log';

const from = '/pipelines/$slug/runs/$number';

/** Left is the map, right is the log; on a narrow screen, one of them. */
export function RunView({ run }: { run: RunDetails }) {
  const text = useText();
  const search = useSearch({ from });
  const hash = useLocation({ select: (location) => location.hash });
  const navigate = useNavigate({ from });
  const log = useRef<LogHandle>(null);
  const [at, setAt] = useState<string | null>(null);
  const [isNarrowLog, setNarrowLog] = useState(search.panel === undefined);
  const actions = useRunActions(run);
  const panel = search.panel ?? 'steps';

  const show = (next: Shown) => {
    setNarrowLog(next === 'log');
    if (next === 'log') return;
    void navigate({
      search: ({ panel: _, ...rest }) => (next === 'steps' ? rest : { ...rest, panel: next }),
      hash: true,
      replace: true,
    });
  };
  const goToStep = (name: string, attempt?: number) => {
    setNarrowLog(true);
    void navigate({ search: (before) => ({ ...before, step: name }), replace: true });
    requestAnimationFrame(() => log.current?.goToStep(name, attempt));
  };
  const goToLine = (n: number) => {
    setNarrowLog(true);
    requestAnimationFrame(() => log.current?.goToLine(n));
  };
  const stepBy = (by: 1 | -1) => {
    const index = run.steps.findIndex(({ name }) => name === (at ?? search.step));
    const next = run.steps[Math.min(Math.max(index + by, 0), run.steps.length - 1)];
    if (next !== undefined) goToStep(next.name);
  };
  useShortcuts({
    s: () => show('steps'),
    T: () => show('timeline'),
    d: () => show('graph'),
    '[': () => stepBy(-1),
    ']': () => stepBy(1),
    y: () => void copyText(window.location.href),
    c: actions.cancel,
    r: () => actions.retry('failed'),
    R: () => actions.retry('start'),
  });

  const current = at ?? search.step ?? null;
  const tab = (each: Shown) => {
    // On a narrow screen the log stands in place of the panel, on a wide one beside it.
    const isPanel = each !== 'log' && panel === each;
    const isShown = each === 'log' ? isNarrowLog : isPanel && !isNarrowLog;
    return (
      <button
        key={each}
        type="button"
        aria-pressed={isShown || isPanel}
        onClick={() => show(each)}
        className={`target h-8 rounded-control px-2.5 whitespace-nowrap ${each === 'log' ? 'lg:hidden' : ''} ${
          isShown ? 'bg-muted font-medium text-text' : 'text-text-2 hover:text-text'
        } ${isPanel ? 'lg:bg-muted lg:font-medium lg:text-text' : ''}`}
      >
        {text.run.panels[each]}
      </button>
    );
  };
  // A drawing needs more room than a list.
  const columns =
    panel === 'graph'
      ? 'lg:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]'
      : 'lg:grid-cols-[22rem_minmax(0,1fr)] 2xl:grid-cols-[26rem_minmax(0,1fr)]';
  return (
    <div className="flex h-full min-h-0 flex-col">
      <Header run={run} actions={actions} onFailure={() => { setNarrowLog(true); log.current?.goToFailure(); }} />
      <div className={`grid min-h-0 flex-1 grid-rows-[auto_minmax(0,1fr)] lg:grid-rows-[minmax(0,1fr)] ${columns}`}>
        <div className={`flex min-h-0 flex-col border-border lg:border-r ${isNarrowLog ? '' : 'row-span-2 lg:row-span-1'}`}>
          <div role="group" aria-label={text.run.panel} className="flex h-10 shrink-0 items-center gap-1 overflow-x-auto border-b border-border px-2">
            {(['log', 'steps', 'timeline', 'graph', 'details'] as const).map(tab)}
          </div>
          <div className={`min-h-0 flex-1 overflow-auto ${isNarrowLog ? 'hidden lg:block' : ''}`}>
            <Suspense fallback={null}>
              {panel === 'steps' && <Steps run={run} current={current} onStep={goToStep} onLine={goToLine} />}
              {panel === 'timeline' && <Timeline run={run} current={current} onStep={goToStep} />}
              {panel === 'graph' && <Graph run={run} current={current} onStep={goToStep} />}
              {panel === 'details' && <Details run={run} />}
            </Suspense>
          </div>
        </div>
        <div className={`min-h-0 min-w-0 ${isNarrowLog ? '' : 'hidden lg:block'}`}>
          <LogView
            key={run.logPurgedAt}
            ref={log}
            run={run}
            hash={hash}
            sought={search}
            onSought={({ q, case: matchCase, regex }) =>
              void navigate({
                search: ({ panel, step }) => told({ panel, step, q, case: matchCase, regex }),
                hash: true,
                replace: true,
                resetScroll: false,
              })
            }
            onHash={(next) => void navigate({ search: true, hash: next, replace: true, resetScroll: false, hashScrollIntoView: false })}
            onStep={setAt}
          />
        </div>
      </div>
    </div>
  );
}
