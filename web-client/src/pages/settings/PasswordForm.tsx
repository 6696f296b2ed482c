import { useMutation } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Field } from '../../ui/Field';
import { focusFirstWrong, useFormProblems } from '../../ui/form';
import { Problem } from '../../ui/Problem';

/** As the server has it. */
const CHARS_MIN = 10;
const CHARS_MAX = 200;

/** What can be told without the server. */
type Wrong = 'short' | 'other' | null;

function wrongWith(next: string, repeated: string): Wrong {
  const length = [...next].length;
  if (length < CHARS_MIN || length > CHARS_MAX) return 'short';
  return next === repeated ? null : 'other';
}

export function PasswordForm({ login }: { login: string }) {
  const { account } = useSettingsText();
  const [wrong, setWrong] = useState<Wrong>(null);
  const [isDone, setDone] = useState(false);
  const change = useMutation(
    trpc.auth.changePassword.mutationOptions({
      // Nothing keeps the passwords longer than the server takes.
      gcTime: 0,
      onSuccess: () => {
        problems.form.current?.reset();
        setDone(true);
        change.reset();
        void queryClient.invalidateQueries({ queryKey: trpc.auth.sessions.pathKey() });
      },
    }),
  );
  const problems = useFormProblems(change.error, ['present', 'new']);
  const isThrottled = change.error?.data?.code === 'TOO_MANY_REQUESTS';
  useEffect(() => {
    if (wrong !== null) focusFirstWrong(problems.form.current);
  }, [wrong, problems.form]);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [present, next] = [String(form.get('present')), String(form.get('new'))];
    const found = wrongWith(next, String(form.get('repeat')));
    setWrong(found);
    setDone(false);
    change.reset();
    if (found === null) change.mutate({ present, new: next });
  };
  return (
    <form ref={problems.form} onSubmit={submit} className="flex max-w-sm flex-col gap-4">
      <input type="hidden" name="login" autoComplete="username" value={login} readOnly />
      <Field label={account.present} error={problems.of('present') === null ? null : account.isWrong}>
        {(field) => (
          <input {...field} name="present" type="password" required maxLength={CHARS_MAX} autoComplete="current-password" className="field" />
        )}
      </Field>
      <Field label={account.next} hint={account.rules} error={wrong === 'short' ? account.isShort : problems.of('new')}>
        {(field) => <input {...field} name="new" type="password" required autoComplete="new-password" className="field" />}
      </Field>
      <Field label={account.repeat} error={wrong === 'other' ? account.isOther : null}>
        {(field) => <input {...field} name="repeat" type="password" required autoComplete="new-password" className="field" />}
      </Field>
      {isThrottled ? <Problem error={new Error(account.throttled)} /> : <Problem error={problems.other} />}
      <div className="flex flex-wrap items-center gap-3">
        <Button kind="primary" type="submit" isBusy={change.isPending}>
          {account.change}
        </Button>
        <p role="status" className="text-text-2">
          {isDone ? account.changed : ''}
        </p>
      </div>
    </form>
  );
}
