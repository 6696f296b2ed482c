import type { Grant } from '@slipway/client';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { queryClient, trpc } from '../../api/client';
import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { Dialog } from '../../ui/Dialog';
import { Field } from '../../ui/Field';
import { DialogFoot } from '../../ui/FormFoot';
import { useFormProblems } from '../../ui/form';
import { Problem } from '../../ui/Problem';
import { OncePassword } from './OncePassword';
import { newPassword } from './password';
import { personFields, PersonFields, personOf } from './PersonFields';

export function NewPerson({ onClose }: { onClose: () => void }) {
  const text = useText();
  const { people } = useSettingsText();
  const [grants, setGrants] = useState<Grant[]>([]);
  const [made, setMade] = useState<{ login: string; password: string } | null>(null);
  const create = useMutation(
    trpc.people.create.mutationOptions({
      gcTime: 0,
      onSuccess: ({ login }, { password }) => {
        void queryClient.invalidateQueries({ queryKey: trpc.people.pathKey() });
        if (password === null || password === undefined) onClose();
        else setMade({ login, password });
        create.reset();
      },
    }),
  );
  const problems = useFormProblems(create.error, personFields);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    create.mutate({
      ...personOf(event.currentTarget),
      login: String(data.get('login')).trim(),
      password: data.has('password') ? newPassword() : null,
      grants,
    });
  };
  if (made !== null) return <OncePassword {...made} onClose={onClose} />;
  return (
    <Dialog title={people.create} onClose={onClose}>
      <form ref={problems.form} onSubmit={submit} className="flex flex-col gap-4 p-4">
        <Field label={people.login} hint={people.loginHint} error={problems.of('login')}>
          {(field) => <input {...field} name="login" required maxLength={100} autoComplete="off" autoCapitalize="none" className="field" />}
        </Field>
        <PersonFields grants={grants} onGrants={setGrants} problemOf={problems.of} />
        <label className="flex items-center gap-2">
          <input type="checkbox" name="password" defaultChecked className="accent-(--accent)" />
          {people.withPassword}
        </label>
        <Problem error={problems.other} />
        <DialogFoot action={text.actions.create} isBusy={create.isPending} onClose={onClose} />
      </form>
    </Dialog>
  );
}
