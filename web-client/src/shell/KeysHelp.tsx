import { useKeysText } from '../text/keys';
import { Dialog } from '../ui/Dialog';

export function KeysHelp({ onClose }: { onClose: () => void }) {
  const keys = useKeysText();
  const groups: [string, [string, string][]][] = [
    [
      keys.everywhere,
      [
        ['Ctrl K', keys.palette],
        ['g p', keys.goPipelines],
        ['g r', keys.goRuns],
        ['g q', keys.goQueues],
        ['/', keys.search],
        ['?', keys.help],
        ['Esc', keys.escape],
      ],
    ],
    [
      keys.lists,
      [
        ['j k', keys.move],
        ['Enter', keys.enter],
        ['t', keys.trigger],
      ],
    ],
    [
      keys.run,
      [
        ['c', keys.cancel],
        ['r R', keys.retry],
        ['s T d', keys.panels],
        ['[ ]', keys.step],
        ['e E', keys.failure],
        ['y', keys.link],
      ],
    ],
    [
      keys.log,
      [
        ['f', keys.follow],
        ['w', keys.wrap],
        ['Home End', keys.ends],
        [':', keys.goToLine],
      ],
    ],
  ];
  return (
    <Dialog title={keys.title} onClose={onClose}>
      <div className="grid gap-x-8 gap-y-4 p-4 sm:grid-cols-2">
        {groups.map(([title, entries]) => (
          <section key={title}>
            <h3 className="mb-1 text-text-2">{title}</h3>
            <dl>
              {entries.map(([shortcut, action]) => (
                <div key={shortcut} className="flex items-center justify-between gap-3 py-1">
                  <dt>{action}</dt>
                  <dd className="flex gap-1">
                    {shortcut.split(' ').map((key) => (
                      <kbd key={key} className="kbd">
                        {key}
                      </kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
