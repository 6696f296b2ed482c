import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { Layers, ListTree, Menu as MenuIcon, Play, Search, Settings } from 'lucide-react';
import { lazy, Suspense, useEffect, useState, type ComponentType } from 'react';

import { useLiveLists } from '../api/lists';
import { buttonLook } from '../ui/Button';
import { useText } from '../text';
import { useShortcuts } from '../keys';
import { ConnectionMark } from './ConnectionMark';
import { NewVersion } from './NewVersion';
import { Path } from './Path';
import { useGlobalKeys } from './global-keys';

const Palette = lazy(() => import('./Palette').then(({ Palette }) => ({ default: Palette })));
const KeysHelp = lazy(() => import('./KeysHelp').then(({ KeysHelp }) => ({ default: KeysHelp })));

const paletteKeys = navigator.platform.startsWith('Mac') ? '⌘K' : 'Ctrl K';

type Layer = 'palette' | 'keys' | null;

export function Shell() {
  const text = useText();
  const [layer, setLayer] = useState<Layer>(null);
  const [isMenuOpen, setMenuOpen] = useState(false);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  // Until the first page is there, nothing waits in its place: React puts off by 0.3 s what takes the place of a fallback.
  const isOpen = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation !== undefined });
  useGlobalKeys();
  useLiveLists(path !== '/sign-in');
  useShortcuts({ '?': () => setLayer('keys') });
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setLayer('palette');
    };
    addEventListener('keydown', open);
    return () => removeEventListener('keydown', open);
  }, []);
  useEffect(() => setMenuOpen(false), [path]);
  if (path === '/sign-in') {
    return (
      <main id="main" className="min-h-dvh bg-subtle">
        <Outlet />
      </main>
    );
  }
  return (
    <div className="grid h-dvh grid-rows-[3rem_minmax(0,1fr)_auto] sm:grid-cols-[3rem_minmax(0,1fr)] 2xl:grid-cols-[10rem_minmax(0,1fr)]">
      <a
        href="#main"
        className="absolute -left-[100vw] z-50 rounded-control bg-accent px-3 py-1.5 text-on-accent focus:left-2 focus:top-2"
      >
        {text.nav.skip}
      </a>
      <nav
        aria-label={text.nav.label}
        className="row-span-3 hidden flex-col border-r border-border bg-subtle sm:flex"
      >
        <Link to="/pipelines" aria-label={text.nav.home} className="flex h-12 items-center gap-2 px-3.5 2xl:px-4">
          <Logo />
          <span className="hidden text-section font-semibold tracking-tight 2xl:inline">Slipway</span>
        </Link>
        <Places />
      </nav>
      <header className="flex min-w-0 items-center gap-2 border-b border-border px-3">
        <button
          type="button"
          className={`${buttonLook('quiet', true)} sm:hidden`}
          aria-label={text.nav.menu}
          aria-expanded={isMenuOpen}
          onClick={() => setMenuOpen((isOpen) => !isOpen)}
        >
          <MenuIcon size={18} />
        </button>
        <Path />
        <button
          type="button"
          onClick={() => setLayer('palette')}
          className={`${buttonLook('quiet')} ml-auto`}
        >
          <Search size={15} aria-hidden />
          <span className="sr-only">{text.palette.title}</span>
          <kbd className="kbd hidden sm:inline-block">{paletteKeys}</kbd>
        </button>
        <ConnectionMark />
      </header>
      <main id="main" tabIndex={-1} className="relative min-h-0 overflow-y-auto outline-none">
        {isMenuOpen && (
          <nav
            aria-label={text.nav.label}
            className="absolute inset-x-0 top-0 z-30 flex flex-col border-b border-border bg-bg p-2 shadow-float sm:hidden"
          >
            <Places hasLabels />
          </nav>
        )}
        <Suspense fallback={null}>{isOpen && <Outlet />}</Suspense>
      </main>
      <NewVersion />
      <Suspense fallback={null}>
        {layer === 'palette' && <Palette onClose={() => setLayer(null)} onShowKeys={() => setLayer('keys')} />}
        {layer === 'keys' && <KeysHelp onClose={() => setLayer(null)} />}
      </Suspense>
    </div>
  );
}

function Places({ hasLabels = false }: { hasLabels?: boolean }) {
  const { nav } = useText();
  const place = (Icon: ComponentType<{ size: number }>, label: string) => (
    <>
      <Icon size={18} />
      <span className={hasLabels ? '' : 'sr-only 2xl:not-sr-only'}>{label}</span>
    </>
  );
  const look = {
    className: `flex items-center gap-3 rounded-control px-3 2xl:px-4 ${hasLabels ? 'h-11' : 'h-10'} text-text-2 hover:bg-muted hover:text-text`,
    activeProps: { className: 'text-text! bg-muted font-medium shadow-[inset_2px_0_0_var(--accent)]' },
  };
  return (
    <>
      <Link to="/pipelines" title={nav.pipelines} {...look}>
        {place(ListTree, nav.pipelines)}
      </Link>
      <Link to="/runs" title={nav.runs} {...look}>
        {place(Play, nav.runs)}
      </Link>
      <Link to="/queues" title={nav.queues} {...look}>
        {place(Layers, nav.queues)}
      </Link>
      <Link to="/settings" title={nav.settings} {...look} className={`${look.className} ${hasLabels ? '' : 'mt-auto mb-2'}`}>
        {place(Settings, nav.settings)}
      </Link>
    </>
  );
}

export function Logo({ size = 20 }: { size?: number }) {
  return (
    <svg viewBox="0 0 16 16" width={size} height={size} aria-hidden className="shrink-0 text-accent">
      <path fill="currentColor" d="M2 3h12l-2 4H4zm3 6h6l3 4H2z" />
    </svg>
  );
}

export function NoPage() {
  const text = useText();
  return (
    <div className="flex flex-col items-center gap-3 px-4 py-24 text-center">
      <h1 className="text-title">{text.errors.noPage}</h1>
      <Link to="/pipelines" className="link">
        {text.errors.toPipelines}
      </Link>
    </div>
  );
}
