import { useText } from '../text';

export function GoTo({ max, onClose }: { max: number; onClose: (n: number | null) => void }) {
  const text = useText();
  return (
    <form
      className="flex items-center gap-1"
      onSubmit={(event) => {
        event.preventDefault();
        const n = Number(new FormData(event.currentTarget).get('n'));
        onClose(Number.isSafeInteger(n) && n > 0 ? Math.min(n, Math.max(1, max)) : null);
      }}
    >
      <input
        name="n"
        autoFocus
        inputMode="numeric"
        pattern="[0-9]{1,15}"
        autoComplete="off"
        aria-label={text.log.goTo}
        placeholder={text.log.goTo}
        className="field min-h-7! w-28! py-0.5!"
        onBlur={() => onClose(null)}
        onKeyDown={({ key }) => key === 'Escape' && onClose(null)}
      />
    </form>
  );
}
