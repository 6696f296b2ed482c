import { useText } from '../../text';
import { useSettingsText } from '../../text/settings';
import { Button } from '../../ui/Button';
import { Dialog } from '../../ui/Dialog';
import { Sample } from '../../ui/Sample';

interface Props {
  login: string;
  password: string;
  onClose: () => void;
}

/** A password that has just been made: who closes this has seen it for the last time. */
export function OncePassword({ login, password, onClose }: Props) {
  const text = useText();
  const { people } = useSettingsText();
  return (
    <Dialog title={people.once} onClose={onClose}>
      <div className="flex flex-col gap-4 p-4">
        <p className="wrap-anywhere">{people.onceText(login)}</p>
        <Sample text={password} />
        <div className="flex justify-end">
          <Button onClick={onClose}>{text.actions.close}</Button>
        </div>
      </div>
    </Dialog>
  );
}
