import { Link, Outlet } from '@tanstack/react-router';

import { Page } from '../../components/Page';
import { useText } from '../../text';

const look = {
  className: 'flex h-9 items-center border-b-2 border-transparent px-1 text-text-2 hover:text-text',
  activeProps: { className: 'border-accent! text-text! font-medium' },
};

export function SettingsPage() {
  const { settings } = useText();
  return (
    <Page title={settings.title}>
      <nav aria-label={settings.title} className="mb-5 flex gap-5 border-b border-border">
        <Link to="/settings/appearance" {...look}>
          {settings.appearance}
        </Link>
        <Link to="/settings/tokens" {...look}>
          {settings.tokens}
        </Link>
        <Link to="/settings/about" {...look}>
          {settings.about}
        </Link>
      </nav>
      <Outlet />
    </Page>
  );
}
