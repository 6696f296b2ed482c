import { useDebounced } from '../ui/debounced';

interface TextProps {
  label: string;
  placeholder: string;
  value: string;
  isFirst?: boolean;
  /** How wide it is. */
  className?: string;
  onChange: (value: string) => void;
}

/** What a list is narrowed by as one types. */
export function FilterText({ label, placeholder, value, isFirst = false, className = 'w-44!', onChange }: TextProps) {
  const { shown, setShown } = useDebounced(value, onChange);
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={placeholder}
      className={`field ${className}`}
      value={shown}
      maxLength={200}
      {...(isFirst ? { 'data-filter': true } : {})}
      onChange={({ target }) => setShown(target.value)}
    />
  );
}

interface TimeProps {
  label: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}

/** A moment that bounds a list, to the minute. */
export function TimeFilter({ label, value, onChange }: TimeProps) {
  return (
    <label className="flex items-center gap-2 text-text-2 max-sm:w-full">
      <span className="max-sm:w-12">{label}</span>
      <input
        type="datetime-local"
        className="field w-auto! max-sm:flex-1"
        value={value === undefined ? '' : localOf(value)}
        onChange={({ target }) => onChange(target.value === '' ? undefined : new Date(target.value).toISOString())}
      />
    </label>
  );
}

/** As such an input has it: to the minute, in the reader's zone. */
function localOf(at: string): string {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
