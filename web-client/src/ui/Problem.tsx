import { explain } from '../api/errors';
import { useText } from '../text';
import { Button } from './Button';

/** What went wrong, and what to do next. The only place where errors are shown. */
export function Problem({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const text = useText();
  if (error === null || error === undefined) return null;
  const { words, requestId } = explain(error, text);
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-card border border-failed/40 bg-failed/8 px-3 py-2"
    >
      <p className="min-w-0 flex-1 wrap-anywhere">{words}</p>
      {requestId !== null && <code className="text-meta text-text-2">{text.errors.requestId(requestId)}</code>}
      {onRetry !== undefined && <Button onClick={onRetry}>{text.actions.retry}</Button>}
    </div>
  );
}
