import { useEffect, useRef, useState } from 'react';

const TYPING_MS = 250;

/** What is typed is shown at once, and told when the typing rests; what is told from elsewhere is shown. */
export function useDebounced(value: string, onChange: (value: string) => void): [string, (value: string) => void] {
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
  useEffect(() => {
    if (shown === told.current) return;
    const timer = setTimeout(() => {
      told.current = shown;
      tell.current(shown);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return [shown, setShown];
}
