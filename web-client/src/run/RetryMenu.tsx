import { Menu } from '@base-ui/react/menu';
import { ChevronDown, RotateCcw } from 'lucide-react';

import { useText } from '../text';
import { buttonLook } from '../ui/Button';
import type { RunActions } from './actions';

export function RetryMenu({ actions }: { actions: RunActions }) {
  const text = useText();
  return (
    <Menu.Root>
      <Menu.Trigger className={buttonLook()} disabled={actions.isRetrying}>
        <RotateCcw size={14} aria-hidden />
        {text.run.retry}
        <ChevronDown size={14} aria-hidden />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={4} align="end" className="z-50">
          <Menu.Popup className="min-w-48 rounded-card border border-border bg-bg p-1 shadow-float outline-none">
            <Menu.Item className="menu-item" onClick={() => actions.retry('failed')}>
              {text.run.retryFailed}
              <kbd className="kbd ml-auto">r</kbd>
            </Menu.Item>
            <Menu.Item className="menu-item" onClick={() => actions.retry('start')}>
              {text.run.retryAll}
              <kbd className="kbd ml-auto">R</kbd>
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
