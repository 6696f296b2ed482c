import { useText } from '../text';
import { Button } from './Button';

/** Ends a form of a dialog: leaves it, or does what it is for. */
export function DialogFoot({ action, isBusy, onClose }: { action: string; isBusy: boolean; onClose: () => void }) {
  const { actions } = useText();
  return (
    <div className="flex justify-end gap-2">
      <Button onClick={onClose}>{actions.cancel}</Button>
      <Button kind="primary" type="submit" isBusy={isBusy}>
        {action}
      </Button>
    </div>
  );
}

/** Ends a form of a page: saves it, and says that it is saved. */
export function SaveFoot({ isBusy, isSaved }: { isBusy: boolean; isSaved: boolean }) {
  const { actions } = useText();
  return (
    <div className="flex items-center gap-3">
      <Button kind="primary" type="submit" isBusy={isBusy}>
        {actions.save}
      </Button>
      <p role="status" className="text-text-2">
        {isSaved ? actions.saved : ''}
      </p>
    </div>
  );
}
