import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useId, useState, type KeyboardEvent } from 'react';

import { trpc } from '../api/client';
import { useMe } from '../api/me';
import { signOut } from '../api/sign-out';
import { setSetting, useTheme } from '../settings';
import { useText } from '../text';
import { useSettingsText } from '../text/settings';
import { Dialog } from '../ui/Dialog';

interface Entry {
  key: string;
  group: string;
  label: string;
  act: () => void;
}

const PIPELINES_MAX = 8;

export function Palette({ onClose, onShowKeys }: { onClose: () => void; onShowKeys: () => void }) {
  const text = useText();
  const { account, nav, settings } = useSettingsText();
  const me = useMe();
  const navigate = useNavigate();
  const theme = useTheme();
  const id = useId();
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const words = query.trim();
  const { data } = useQuery(
    trpc.pipelines.list.queryOptions(
      words === '' ? { limit: PIPELINES_MAX } : { limit: PIPELINES_MAX, search: words },
      { placeholderData: (before) => before },
    ),
  );
  const queues = { key: 'queues', label: text.nav.queues, act: () => void navigate({ to: '/queues' }) };
  const forAdmins: Omit<Entry, 'group'>[] = [
    { key: 'tokens', label: settings.tokens, act: () => void navigate({ to: '/settings/tokens' }) },
    { key: 'people', label: nav.people, act: () => void navigate({ to: '/settings/people' }) },
    { key: 'secrets', label: nav.secrets, act: () => void navigate({ to: '/settings/secrets' }) },
    { key: 'audit', label: nav.audit, act: () => void navigate({ to: '/settings/audit' }) },
    { key: 'welcome', label: text.pipelines.create, act: () => void navigate({ to: '/welcome' }) },
  ];
  const pages: Entry[] = [
    { key: 'pipelines', label: text.nav.pipelines, act: () => void navigate({ to: '/pipelines' }) },
    { key: 'runs', label: text.nav.runs, act: () => void navigate({ to: '/runs' }) },
    ...(me?.role === null ? [] : [queues]),
    { key: 'account', label: nav.account, act: () => void navigate({ to: '/settings/account' }) },
    ...(me?.role === 'admin' ? forAdmins : []),
    { key: 'theme', label: text.palette.theme, act: () => setSetting('theme', theme === 'dark' ? 'light' : 'dark') },
    { key: 'out', label: account.signOut, act: () => void signOut() },
    { key: 'keys', label: text.palette.shortcuts, act: onShowKeys },
  ].map((entry) => ({ ...entry, group: text.palette.pages }));
  const pipelines: Entry[] = (data?.items ?? []).map(({ id, name }) => ({
    key: id,
    group: text.palette.pipelines,
    label: name,
    act: () => void navigate({ to: '/pipelines/$slug', params: { slug: name } }),
  }));
  const fits = ({ label }: Entry) => label.toLowerCase().includes(words.toLowerCase());
  const entries = [...pipelines, ...pages].filter(fits);
  const chosen = Math.min(at, entries.length - 1);

  const act = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    entry.act();
  };
  const press = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by !== 0) {
      event.preventDefault();
      setAt((chosen + by + entries.length) % Math.max(1, entries.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      act(entries[chosen]);
    }
  };
  return (
    <Dialog title={text.palette.title} onClose={onClose} isHigh hasTitle={false}>
      <input
        className="w-full border-b border-border bg-transparent px-4 py-3 text-section outline-none placeholder:text-text-3"
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={entries[chosen] === undefined ? undefined : `${id}-${chosen}`}
        aria-label={text.palette.label}
        placeholder={text.palette.placeholder}
        value={query}
        onChange={({ target }) => {
          setQuery(target.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <ul id={id} role="listbox" aria-label={text.palette.title} className="max-h-[50dvh] overflow-auto p-2">
        {entries.map((entry, index) => (
          <li
            key={entry.key}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            className={`flex h-9 cursor-pointer items-center justify-between gap-4 rounded-control px-3 ${index === chosen ? 'bg-muted' : ''}`}
            onPointerMove={() => setAt(index)}
            onClick={() => act(entry)}
          >
            <span className="truncate">{entry.label}</span>
            <span className="text-meta text-text-2">{entry.group}</span>
          </li>
        ))}
        {entries.length === 0 && <li className="px-3 py-6 text-center text-text-2">{text.palette.none}</li>}
      </ul>
    </Dialog>
  );
}
