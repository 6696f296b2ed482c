import { useCallback, useEffect, useRef, useState } from 'react';

const TYPING_MS = 250;

interface Debounced {
  shown: string;
  setShown: (value: string) => void;
  /** Tells what was typed without waiting longer; false: that was done already. */
  tellNow: () => boolean;
}

/** What is typed is shown at once, and told when the typing rests; what is told from elsewhere is shown. */
export function useDebounced(value: string, onChange: (value: string) => void): Debounced {
  const [shown, setShown] = useState(value);
  const told = useRef(value);
  const tell = useRef(onChange);
  useEffect(() => {
    tell.current = onChange;
  });
  useEffect(() => {
    if (value === told.current) return;
    told.current = value;
    setShown(value);
  }, [value]);
  const tellNow = useCallback(() => {
    if (shown === told.current) return false;
    told.current = shown;
    tell.current(shown);
    return true;
  }, [shown]);
  useEffect(() => {
    if (shown === told.current) return;
    const timer = setTimeout(tellNow, TYPING_MS);
    return () => clearTimeout(timer);
  }, [shown, tellNow]);
  return { shown, setShown, tellNow };
}
