import type { Me } from '@slipway/client';

import { useMeQuery } from '../../api/me';
import { signOut } from '../../api/sign-out';
import { PipelineName } from '../../components/PipelineName';
import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';
import { PasswordForm } from './PasswordForm';
import { Section } from './Section';
import { Sessions } from './Sessions';

export function AccountPage() {
  const { account } = useSettingsText();
  const { data: me, error, isPending, refetch } = useMeQuery();
  return (
    <div className="flex flex-col gap-8">
      <Problem error={error} onRetry={() => void refetch()} />
      {isPending && <Skeleton rows={5} />}
      {me !== undefined && <Who me={me} />}
      {me !== undefined && me.personId !== null && (
        <>
          <Section title={account.password} text={me.hasPassword ? account.passwordText : account.elsewhere}>
            {me.hasPassword && <PasswordForm login={me.name} />}
          </Section>
          <Sessions />
        </>
      )}
    </div>
  );
}

function Who({ me }: { me: Me }) {
  const text = useText();
  const { account } = useSettingsText();
  return (
    <Section title={account.who} text={me.personId === null ? account.noAccount : undefined}>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-8 gap-y-2">
        <dt className="text-text-2">{account.login}</dt>
        <dd className="font-medium wrap-anywhere">{me.name}</dd>
        <dt className="text-text-2">{account.role}</dt>
        <dd>{me.role === null ? account.noRole : text.role[me.role]}</dd>
        {me.grants.length > 0 && (
          <>
            <dt className="text-text-2">{account.grants}</dt>
            <dd>
              <ul>
                {me.grants.map(({ pipelineId, role }) => (
                  <li key={pipelineId}>
                    <PipelineName pipelineId={pipelineId} />: {role}
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
      </dl>
      <Button className="mt-4" onClick={() => void signOut()}>
        {account.signOut}
      </Button>
    </Section>
  );
}
