import { Link, Outlet, useRouterState } from '@tanstack/react-router';

import { useMeQuery } from '../../api/me';
import { AdminsOnly } from '../../components/AdminsOnly';
import { Page } from '../../components/Page';
import { useSettingsText } from '../../text/settings';
import { Skeleton } from '../../ui/Empty';
import { Problem } from '../../ui/Problem';

const look = {
  className: 'flex h-9 items-center border-b-2 border-transparent px-1 whitespace-nowrap text-text-2 hover:text-text',
  activeProps: { className: 'border-accent! text-text! font-medium' },
};

/** The settings that the reader may open, and the one that is open. */
export function SettingsPage() {
  const { nav, settings } = useSettingsText();
  const me = useMeQuery();
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const places = [
    { to: '/settings/account', label: nav.account },
    { to: '/settings/appearance', label: settings.appearance },
    { to: '/settings/tokens', label: settings.tokens, isForAdmins: true },
    { to: '/settings/people', label: nav.people, isForAdmins: true },
    { to: '/settings/secrets', label: nav.secrets, isForAdmins: true },
    { to: '/settings/audit', label: nav.audit, isForAdmins: true },
    { to: '/settings/about', label: settings.about },
  ] as const;
  const may = me.data?.role === 'admin';
  const isForAdmins = places.some((place) => 'isForAdmins' in place && path.startsWith(place.to));
  return (
    <Page title={settings.title}>
      <nav aria-label={settings.title} className="mb-5 flex flex-wrap gap-x-5 border-b border-border">
        {places.map(
          (place) =>
            (may || !('isForAdmins' in place)) && (
              <Link key={place.to} to={place.to} {...look}>
                {place.label}
              </Link>
            ),
        )}
      </nav>
      {may || !isForAdmins ? (
        <Outlet />
      ) : me.data === undefined ? (
        <>
          <Problem error={me.error} onRetry={() => void me.refetch()} />
          {me.isPending && <Skeleton rows={4} />}
        </>
      ) : (
        <AdminsOnly role={me.data.role} />
      )}
    </Page>
  );
}
