import { Dialog as Base } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { useRef, type ReactNode } from 'react';

import { useText } from '../text';
import { buttonLook } from './Button';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** Begins at the top, as what is typed into does. */
  isHigh?: boolean;
  hasTitle?: boolean;
}

export function Dialog({ title, onClose, children, isHigh = false, hasTitle = true }: Props) {
  const text = useText();
  const body = useRef<HTMLDivElement>(null);
  return (
    <Base.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-[rgb(10_12_16/45%)] transition-opacity duration-180 data-starting-style:opacity-0" />
        <Base.Popup
          // What is to be filled in, rather than the way out.
          initialFocus={() => body.current?.querySelector<HTMLElement>('input, select, textarea') ?? true}
          className={`fixed left-1/2 z-50 flex max-h-[85dvh] w-[min(34rem,calc(100vw-1.5rem))] -translate-x-1/2 flex-col overflow-auto rounded-dialog border border-border bg-bg shadow-float outline-none transition-opacity duration-180 data-starting-style:opacity-0 ${isHigh ? 'top-[10dvh]' : 'top-1/2 -translate-y-1/2'}`}
        >
          <div className={hasTitle ? 'flex items-center gap-3 px-4 pt-3' : 'sr-only'}>
            <Base.Title className="min-w-0 flex-1 text-section font-semibold wrap-anywhere">{title}</Base.Title>
            <Base.Close aria-label={text.actions.close} className={buttonLook('quiet', true)}>
              <X size={16} />
            </Base.Close>
          </div>
          <div ref={body}>{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
