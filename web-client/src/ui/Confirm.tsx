import { useText } from '../text';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Problem } from './Problem';

interface Props {
  title: string;
  /** What will happen, as a question. */
  ask: string;
  /** What the button says that does it. */
  action: string;
  error: unknown;
  isBusy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before what cannot be undone. */
export function Confirm({ title, ask, action, error, isBusy, onConfirm, onClose }: Props) {
  const text = useText();
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <p className="wrap-anywhere">{ask}</p>
        <Problem error={error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{text.actions.cancel}</Button>
          <Button kind="danger" isBusy={isBusy} onClick={onConfirm}>
            {action}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
