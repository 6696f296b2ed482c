import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { useSettingsText } from '../../text/settings';

/** How much of an id tells it from others at a glance. */
const ID_CHARS = 12;

/** What something was done to, as a link to its page where it has one. It may be there no more. */
export function Target({ kind, id }: { kind: string | null; id: string | null }) {
  const { audit } = useSettingsText();
  if (kind === null) return null;
  const short = id === null ? '' : id.length > 2 * ID_CHARS ? `…${id.slice(-ID_CHARS)}` : id;
  return (
    <>
      {audit.kinds[kind] ?? kind}{' '}
      {id !== null && <span title={id}>{linked(kind, id, short)}</span>}
    </>
  );
}

function linked(kind: string, id: string, short: string): ReactNode {
  switch (kind) {
    case 'run':
      return (
        <Link to="/r/$runId" params={{ runId: id }} className="link">
          {short}
        </Link>
      );
    case 'pipeline':
      return (
        <Link to="/pipelines/$slug" params={{ slug: id }} className="link">
          {short}
        </Link>
      );
    case 'person':
    case 'people':
      return (
        <Link to="/settings/people/$person" params={{ person: id }} className="link">
          {short}
        </Link>
      );
    case 'token':
      return (
        <Link to="/settings/tokens" className="link">
          {short}
        </Link>
      );
    default:
      return short;
  }
}
