import { useText } from '../text';
import { shapes, type Status } from './shapes';

interface Props {
  status: Status;
  size?: number;
  /** Where its word stands beside it, it is silent. */
  silent?: boolean;
}

export function StatusIcon({ status, size = 16, silent = false }: Props) {
  const text = useText();
  const { colour, fill, line, sign, turning } = shapes[status];
  const label = silent ? { 'aria-hidden': true } : { role: 'img', 'aria-label': text.status[status] };
  return (
    <svg {...label} width={size} height={size} viewBox="0 0 16 16" className="shrink-0" style={{ color: `var(--${colour})` }}>
      {turning !== undefined && <path className="turning" d={turning} fill="none" stroke="currentColor" strokeWidth="1.75" />}
      {fill !== undefined && <path d={fill} fill="currentColor" />}
      {line !== undefined && <path d={line} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" />}
      {sign !== undefined && (
        <path d={sign} fill="none" stroke="var(--bg)" strokeWidth="1.75" strokeLinecap="round" strokeLinejoin="round" />
      )}
    </svg>
  );
}

/** The status in its form, its colour and its word. */
export function StatusMark({ status }: { status: Status }) {
  const text = useText();
  return (
    <span className="inline-flex items-center gap-1.5 font-medium whitespace-nowrap">
      <StatusIcon status={status} silent />
      {text.status[status]}
    </span>
  );
}
