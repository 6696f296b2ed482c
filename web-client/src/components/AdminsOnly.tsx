import type { Role } from '@slipway/client';

import { useSettingsText } from '../text/settings';

/** In place of a page that the reader's role does not open. */
export function AdminsOnly({ role, isPipeline = false }: { role: Role | null; isPipeline?: boolean }) {
  const { adminsOnly: words } = useSettingsText();
  return (
    <div className="flex max-w-xl flex-col gap-1 rounded-card border border-border bg-subtle p-4">
      <h2 className="text-section">{words.title}</h2>
      <p>{isPipeline ? words.ofPipeline : words.text}</p>
      <p className="text-text-2">{role === null ? words.noRole : words.role(role)}</p>
    </div>
  );
}
