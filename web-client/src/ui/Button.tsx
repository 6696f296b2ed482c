import { LoaderCircle } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';

type Kind = 'primary' | 'plain' | 'quiet' | 'danger';

const looks: Record<Kind, string> = {
  primary: 'bg-accent text-on-accent hover:brightness-110 border-transparent',
  plain: 'bg-bg border-control text-text hover:bg-muted',
  quiet: 'border-transparent text-text-2 hover:bg-muted hover:text-text',
  danger: 'bg-bg border-control text-failed hover:bg-muted',
};

export function buttonLook(kind: Kind = 'plain', isSquare = false): string {
  return (
    'target inline-flex h-8 items-center justify-center gap-1.5 rounded-control border font-medium whitespace-nowrap ' +
    'transition-colors duration-120 disabled:cursor-default disabled:opacity-55 ' +
    `${isSquare ? 'w-8' : 'px-3'} ${looks[kind]}`
  );
}

interface Props extends ComponentProps<'button'> {
  kind?: Kind;
  icon?: ReactNode;
  /** What it does is under way. */
  isBusy?: boolean;
}

export function Button({ kind = 'plain', icon, isBusy = false, children, className = '', disabled, ...rest }: Props) {
  return (
    <button
      type="button"
      className={`${buttonLook(kind, children === undefined)} ${className}`}
      disabled={disabled === true || isBusy}
      aria-busy={isBusy}
      {...rest}
    >
      {isBusy ? <LoaderCircle size={14} className="turning" aria-hidden /> : icon}
      {children}
    </button>
  );
}
