import type { Problem } from '@slipway/client';
import { useEffect, useEffectEvent, useImperativeHandle, useRef, type Ref } from 'react';

import { useTheme } from '../settings';
import { useEditorText } from '../text/editor';
import { open, type OpenEditor } from './codemirror';

const NONE: readonly Problem[] = [];

export interface EditorHandle {
  goTo: (line: number) => void;
}

interface Props {
  /** What it begins with; then it is the editor's. */
  value: string;
  onChange: (value: string) => void;
  problems?: readonly Problem[];
  /** To go to. */
  line?: number | undefined;
  onSave?: () => void;
  ref?: Ref<EditorHandle>;
}

export function Editor({ value, onChange, problems = NONE, line, onSave, ref }: Props) {
  const words = useEditorText();
  const theme = useTheme();
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<OpenEditor>(null);
  const begin = useEffectEvent(() => ({ value, label: words.label, theme }));
  const change = useEffectEvent(onChange);
  const save = useEffectEvent(() => onSave?.());
  useEffect(() => {
    if (host.current === null) return;
    const made = open(host.current, { ...begin(), onChange: (next) => change(next), onSave: () => save() });
    editor.current = made;
    return () => {
      made.close();
      editor.current = null;
    };
  }, []);
  useEffect(() => editor.current?.setTheme(theme), [theme]);
  useEffect(() => editor.current?.setProblems(problems), [problems]);
  useEffect(() => {
    if (line !== undefined) editor.current?.goTo(line);
  }, [line]);
  useImperativeHandle(ref, () => ({ goTo: (n) => editor.current?.goTo(n) }));
  return <div ref={host} className="h-full min-h-0" />;
}
