import type { SingleSignOn as Way } from '@slipway/client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useEffectEvent, useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { Refused, signInByPassword } from '../../api/sign-in';
import { Logo } from '../../shell/Shell';
import { useText } from '../../text';
import { useSignInText } from '../../text/sign-in';
import type { SignInCatalogue } from '../../text/sign-in/en';
import { Button, buttonLook } from '../../ui/Button';
import { Field } from '../../ui/Field';
import { Problem } from '../../ui/Problem';

/** Each way to sign in is a part of this page; whoever has come in by one goes to where they wanted. */
export function SignInPage() {
  const { errors } = useText();
  const signIn = useSignInText();
  const { next, problem, signedOut } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const known = useQuery(trpc.auth.me.queryOptions(undefined, { gcTime: 0, staleTime: 0 }));
  const ways = useQuery(trpc.auth.ways.queryOptions());
  const isKnown = known.isSuccess && !known.isFetching;
  const go = useEffectEvent(() => {
    // What somebody else was shown here before is not theirs.
    queryClient.removeQueries({ type: 'inactive' });
    void navigate({ href: next ?? '/', replace: true });
  });
  useEffect(() => {
    if (isKnown) go();
  }, [isKnown]);
  const isOther = known.error !== null && known.error.data?.code !== 'UNAUTHORIZED';
  return (
    <div className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-6 px-4 py-12">
      <title>{`${signIn.title} · Slipway`}</title>
      <div className="flex items-center gap-2.5">
        <Logo size={28} />
        <span className="text-title font-semibold tracking-tight">Slipway</span>
      </div>
      <div className="flex flex-col gap-5 rounded-dialog border border-border bg-bg p-6">
        <h1 className="text-title">{signIn.title}</h1>
        {problem !== undefined && (
          <p role="alert" className="text-failed">
            {problemWords(problem, signIn)}
          </p>
        )}
        {next !== undefined && problem === undefined && (
          <p role="alert" className="text-text-2">
            {errors.signedOut} {signIn.ended}
          </p>
        )}
        {signedOut && problem === undefined && (
          <p role="status" className="text-text-2">
            {signIn.signedOut}
          </p>
        )}
        {ways.data?.oidc && <SingleSignOn way={ways.data.oidc} next={next} />}
        {/* Where the ways cannot be asked for, the one that is mostly there is shown. */}
        {(ways.data?.password ?? ways.isError) && <Password onDone={() => void known.refetch()} />}
        {isOther && <Problem error={known.error} />}
        <OneTimeLink isBusy={known.isFetching} onDone={() => void known.refetch()} />
      </div>
    </div>
  );
}

function problemWords(problem: string, { problems, notNow }: SignInCatalogue): string {
  return Object.entries(problems).find(([code]) => code === problem)?.[1] ?? notNow;
}

/** A link of the whole page: the server sends whoever follows it to the provider. */
function SingleSignOn({ way, next }: { way: Way; next: string | undefined }) {
  const signIn = useSignInText();
  return (
    <a
      href={next === undefined ? way.link : `${way.link}?next=${encodeURIComponent(next)}`}
      className={buttonLook('primary')}
    >
      {signIn.by(way.name)}
    </a>
  );
}

function Password({ onDone }: { onDone: () => void }) {
  const signIn = useSignInText();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const enter = useMutation({
    mutationFn: () => signInByPassword(name.trim(), password),
    onSuccess: onDone,
  });
  const status = enter.error instanceof Refused ? enter.error.status : null;
  const error =
    enter.error === null ? null : status === 401 ? signIn.wrong : status === 429 ? signIn.throttled : signIn.notNow;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!enter.isPending) enter.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Field label={signIn.name}>
        {(field) => (
          <input
            {...field}
            required
            autoComplete="username"
            className="field"
            value={name}
            onChange={({ target }) => setName(target.value)}
          />
        )}
      </Field>
      <Field label={signIn.password} error={error}>
        {(field) => (
          <input
            {...field}
            required
            type="password"
            autoComplete="current-password"
            className="field"
            value={password}
            onChange={({ target }) => setPassword(target.value)}
          />
        )}
      </Field>
      <Button kind="primary" type="submit" isBusy={enter.isPending}>
        {signIn.enter}
      </Button>
    </form>
  );
}

function OneTimeLink({ isBusy, onDone }: { isBusy: boolean; onDone: () => void }) {
  const signIn = useSignInText();
  return (
    <details>
      <summary className="text-text-2">{signIn.linkTitle}</summary>
      <div className="flex flex-col items-start gap-3 pt-3">
        <p>{signIn.text}</p>
        <Button isBusy={isBusy} onClick={onDone}>
          {signIn.again}
        </Button>
      </div>
    </details>
  );
}
