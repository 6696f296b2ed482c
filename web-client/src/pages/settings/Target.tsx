import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { trpc } from '../../api/client';
import { shortId, usePipelineName } from '../../components/PipelineName';
import { useSettingsText } from '../../text/settings';

const NAME_STALE_MS = 60_000;

/** What something was done to, as a link to its page where it has one. It may be there no more. */
export function Target({ kind, id }: { kind: string | null; id: string | null }) {
  const { audit } = useSettingsText();
  if (kind === null) return null;
  return (
    <>
      {audit.kinds[kind] ?? kind} {id !== null && <span title={id}>{linked(kind, id)}</span>}
    </>
  );
}

function linked(kind: string, id: string): ReactNode {
  switch (kind) {
    case 'run':
      return (
        <Link to="/r/$runId" params={{ runId: id }} className="link">
          {shortId(id)}
        </Link>
      );
    case 'pipeline':
      return <PipelineLink id={id} />;
    case 'person':
    case 'people':
      return <PersonLink id={id} />;
    case 'token':
      return (
        <Link to="/settings/tokens" className="link">
          {shortId(id)}
        </Link>
      );
    case 'secret':
      return <SecretName id={id} />;
    default:
      return id;
  }
}

/** `TOKEN`, or `<pipeline>/TOKEN`; names of pipelines may have slashes too. */
function SecretName({ id }: { id: string }) {
  const at = id.lastIndexOf('/');
  if (at === -1) return id;
  return (
    <>
      <PipelineLink id={id.slice(0, at)} />/{id.slice(at + 1)}
    </>
  );
}

function PipelineLink({ id }: { id: string }) {
  const { name } = usePipelineName(id);
  if (name === null) return shortId(id);
  return (
    <Link to="/pipelines/$slug" params={{ slug: name }} className="link">
      {name}
    </Link>
  );
}

function PersonLink({ id }: { id: string }) {
  const { data } = useQuery(trpc.people.get.queryOptions({ person: id }, { staleTime: NAME_STALE_MS }));
  if (data === undefined) return shortId(id);
  return (
    <Link to="/settings/people/$person" params={{ person: data.login }} className="link">
      {data.login}
    </Link>
  );
}
