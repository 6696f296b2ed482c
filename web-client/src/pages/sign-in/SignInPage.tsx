import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useEffectEvent } from 'react';

import { trpc } from '../../api/client';
import { Logo } from '../../shell/Shell';
import { useText } from '../../text';
import { Button } from '../../ui/Button';
import { Problem } from '../../ui/Problem';

/** Each way to sign in is a part of this page; whoever has come in by one goes to where they wanted. */
export function SignInPage() {
  const text = useText();
  const { next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const known = useQuery(trpc.runs.list.queryOptions({ limit: 1 }, { gcTime: 0, staleTime: 0 }));
  const isKnown = known.isSuccess && !known.isFetching;
  const go = useEffectEvent(() => void navigate({ href: next ?? '/', replace: true }));
  useEffect(() => {
    if (isKnown) go();
  }, [isKnown]);
  const isOther = known.error !== null && known.error.data?.code !== 'UNAUTHORIZED';
  return (
    <div className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-6 px-4 py-12">
      <title>{`${text.signIn.title} · Slipway`}</title>
      <div className="flex items-center gap-2.5">
        <Logo size={28} />
        <span className="text-title font-semibold tracking-tight">Slipway</span>
      </div>
      <div className="flex flex-col gap-5 rounded-dialog border border-border bg-bg p-6">
        <h1 className="text-title">{text.signIn.title}</h1>
        {next !== undefined && (
          <p role="alert" className="text-text-2">
            {text.errors.signedOut} {text.signIn.ended}
          </p>
        )}
        <OneTimeLink />
        {isOther && <Problem error={known.error} />}
        <Button kind="primary" isBusy={known.isFetching} onClick={() => void known.refetch()}>
          {text.signIn.again}
        </Button>
      </div>
    </div>
  );
}

function OneTimeLink() {
  const text = useText();
  return <p className="text-form">{text.signIn.text}</p>;
}
