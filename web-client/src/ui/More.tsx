import { useText } from '../text';
import { Button } from './Button';

interface Props {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => Promise<unknown> };
}

/** Below a list that goes on. */
export function More({ list }: Props) {
  const text = useText();
  if (!list.hasNextPage) return null;
  return (
    <div className="flex justify-center py-4">
      <Button isBusy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
        {text.actions.more}
      </Button>
    </div>
  );
}
