import type { Grant, Person } from '@slipway/client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { lazy, Suspense, useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { isNotFound } from '../../api/errors';
import { useMe } from '../../api/me';
import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { SaveFoot } from '../../ui/FormFoot';
import { Skeleton } from '../../ui/Empty';
import { useFormProblems } from '../../ui/form';
import { Problem } from '../../ui/Problem';
import { newPassword } from './password';
import { personFields, PersonFields, personOf } from './PersonFields';
import { Section } from './Section';

const Confirm = lazy(() => import('../../ui/Confirm').then(({ Confirm }) => ({ default: Confirm })));
const OncePassword = lazy(() => import('./OncePassword').then(({ OncePassword }) => ({ default: OncePassword })));

function learn(): void {
  void queryClient.invalidateQueries({ queryKey: trpc.people.pathKey() });
}

export function PersonPage() {
  const { people } = useSettingsText();
  const { person: id } = useParams({ from: '/settings/people/$person' });
  const me = useMe();
  const { data: person, error, isPending, refetch } = useQuery(trpc.people.get.queryOptions({ person: id }));
  return (
    <>
      <p className="flex gap-5 pb-3">
        <Link to="/settings/people" className="link">
          {people.back}
        </Link>
        {person !== undefined && (
          <Link to="/settings/audit" search={{ actor: person.login }} className="link">
            {people.did}
          </Link>
        )}
      </p>
      {isNotFound(error) ? <p>{people.gone}</p> : <Problem error={error} onRetry={() => void refetch()} />}
      {isPending && <Skeleton rows={5} height={56} />}
      {person !== undefined && <PersonView key={person.id} person={person} isOwn={person.id === me?.personId} />}
    </>
  );
}

function PersonView({ person, isOwn }: { person: Person; isOwn: boolean }) {
  const { people } = useSettingsText();
  return (
    <div className="flex flex-col gap-8">
      <Section title={person.login}>
        <Settings person={person} isOwn={isOwn} />
      </Section>
      {isOwn ? (
        <Section title={people.password} text={`${people.ownPassword} ${people.ownAccount}`}>
          <Link to="/settings/account" className="link">
            {people.toAccount}
          </Link>
        </Section>
      ) : (
        <>
          <Password person={person} />
          <Access person={person} />
          <Delete person={person} />
        </>
      )}
    </div>
  );
}

function Settings({ person, isOwn }: { person: Person; isOwn: boolean }) {
  const [grants, setGrants] = useState<Grant[]>(person.grants);
  const update = useMutation(trpc.people.update.mutationOptions({ onSuccess: learn }));
  const problems = useFormProblems(update.error, personFields);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { role, ...rest } = personOf(event.currentTarget);
    update.mutate({ person: person.id, ...rest, ...(isOwn ? {} : { role }), grants });
  };
  return (
    <form ref={problems.form} onSubmit={submit} className="flex flex-col gap-4">
      <PersonFields person={person} isOwn={isOwn} grants={grants} onGrants={setGrants} problemOf={problems.of} />
      <Problem error={problems.other} />
      <SaveFoot isBusy={update.isPending} isSaved={update.isSuccess} />
    </form>
  );
}

function Password({ person: { id, login, hasPassword } }: { person: Person }) {
  const { people } = useSettingsText();
  const [made, setMade] = useState<string | null>(null);
  const set = useMutation(
    trpc.people.setPassword.mutationOptions({
      gcTime: 0,
      onSuccess: (_, { password }) => {
        learn();
        setMade(password);
        set.reset();
      },
    }),
  );
  return (
    <>
      <Deed
        title={people.password}
        text={hasPassword ? people.passwordText : people.noPasswordText}
        ask={people.newPasswordAsk(login)}
        action={people.newPassword}
        work={set}
        onConfirm={() => set.mutateAsync({ person: id, password: newPassword() })}
      />
      <Suspense fallback={null}>
        {made !== null && <OncePassword login={login} password={made} onClose={() => setMade(null)} />}
      </Suspense>
    </>
  );
}

function Access({ person: { id, login, disabled } }: { person: Person }) {
  const { people } = useSettingsText();
  const update = useMutation(trpc.people.update.mutationOptions({ onSuccess: learn }));
  return (
    <Deed
      title={disabled ? people.enableTitle : people.disableTitle}
      text={disabled ? people.enableText : people.disableText}
      // Nothing is lost by letting somebody in again.
      ask={disabled ? null : people.disableAsk(login)}
      action={disabled ? people.enable : people.disable}
      work={update}
      onConfirm={() => update.mutateAsync({ person: id, disabled: !disabled })}
    />
  );
}

function Delete({ person: { id, login } }: { person: Person }) {
  const text = useText();
  const { people } = useSettingsText();
  const navigate = useNavigate();
  const remove = useMutation(trpc.people.delete.mutationOptions());
  const confirm = async () => {
    await remove.mutateAsync({ person: id });
    await navigate({ to: '/settings/people' });
    learn();
  };
  return (
    <Deed
      title={people.deleteTitle}
      text={people.deleteText}
      ask={people.deleteAsk(login)}
      action={text.actions.delete}
      work={remove}
      onConfirm={confirm}
    />
  );
}

interface DeedProps {
  title: string;
  text: string;
  /** What is asked before; null: nothing. */
  ask: string | null;
  action: string;
  work: { error: unknown; isPending: boolean; reset: () => void };
  onConfirm: () => Promise<unknown>;
}

function Deed({ title, text, ask, action, work, onConfirm }: DeedProps) {
  const [isAsking, setAsking] = useState(false);
  const close = () => {
    work.reset();
    setAsking(false);
  };
  // A failure is the mutation's, which shows it.
  const confirm = () => void onConfirm().then(() => setAsking(false), () => undefined);
  return (
    <Section title={title} text={text}>
      <Button
        kind={ask === null ? 'plain' : 'danger'}
        isBusy={work.isPending && !isAsking}
        onClick={ask === null ? confirm : () => setAsking(true)}
      >
        {action}
      </Button>
      {!isAsking && <Problem error={work.error} />}
      <Suspense fallback={null}>
        {isAsking && ask !== null && (
          <Confirm
            title={title}
            ask={ask}
            action={action}
            error={work.error}
            isBusy={work.isPending}
            onConfirm={confirm}
            onClose={close}
          />
        )}
      </Suspense>
    </Section>
  );
}
