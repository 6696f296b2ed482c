import { Link, useNavigate, useSearch } from '@tanstack/react-router';

import { Page } from '../../components/Page';
import { RunsView } from '../../components/RunsView';
import { useText } from '../../text';
import { buttonLook } from '../../ui/Button';

export function RunsPage() {
  const text = useText();
  const { trigger: _, ...search } = useSearch({ from: '/runs' });
  const navigate = useNavigate({ from: '/runs' });
  return (
    <Page title={text.runs.title}>
      <RunsView
        search={search}
        onSearch={(next) => void navigate({ search: next, replace: true })}
        empty={
          <Link to="/pipelines" className={buttonLook('primary')}>
            {text.nav.pipelines}
          </Link>
        }
      />
    </Page>
  );
}
