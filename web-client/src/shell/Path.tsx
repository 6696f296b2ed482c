import { Link, useMatches } from '@tanstack/react-router';
import { Fragment } from 'react';

import { useText } from '../text';

/** Where one is: each part but the last leads there. It is also the title of the window. */
export function Path() {
  const text = useText();
  const match = useMatches({ select: (matches) => matches.at(-1) });
  const params: { slug?: string; number?: string } = match?.params ?? {};
  const id = match?.routeId ?? '';
  const root = id.startsWith('/runs')
    ? text.nav.runs
    : id.startsWith('/queues')
      ? text.nav.queues
      : id.startsWith('/settings')
        ? text.nav.settings
        : id.startsWith('/welcome')
          ? text.welcome.title
          : text.nav.pipelines;
  const { slug, number } = params;
  const tail = id.endsWith('/definition')
    ? text.pipeline.definition
    : id.startsWith('/pipelines/') && id.endsWith('/settings')
      ? text.pipeline.settings
      : number === undefined
        ? null
        : `#${number}`;
  const title = [slug === undefined ? root : slug, tail].filter((part) => part !== null).join(' · ');
  return (
    <nav aria-label={text.nav.path} className="flex min-w-0 items-center gap-1.5">
      <title>{`${title} · Slipway`}</title>
      {slug === undefined ? (
        <span className="truncate font-medium">{root}</span>
      ) : (
        <>
          <Link to="/pipelines" className="hidden text-text-2 hover:text-text hover:underline sm:inline">
            {root}
          </Link>
          <Slash className="hidden sm:inline" />
          {tail === null ? (
            <span className="truncate font-medium">{slug}</span>
          ) : (
            <Fragment>
              <Link to="/pipelines/$slug" params={{ slug }} className="truncate text-text-2 hover:text-text hover:underline">
                {slug}
              </Link>
              <Slash />
              <span className="font-medium whitespace-nowrap">{tail}</span>
            </Fragment>
          )}
        </>
      )}
    </nav>
  );
}

function Slash({ className = '' }: { className?: string }) {
  return (
    <span aria-hidden className={`text-text-3 ${className}`}>
      /
    </span>
  );
}
