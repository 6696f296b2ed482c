import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Problem } from '@slipway/client';

import { completions, explanation } from './completion';

interface Options {
  value: string;
  label: string;
  theme: 'light' | 'dark';
  onChange: (value: string) => void;
  onSave: () => void;
}

export interface OpenEditor {
  setProblems: (problems: readonly Problem[]) => void;
  setTheme: (theme: 'light' | 'dark') => void;
  goTo: (line: number) => void;
  close: () => void;
}

const look = EditorView.theme({
  '&': { height: '100%', backgroundColor: 'var(--bg)', color: 'var(--text)', fontSize: '13px' },
  '.cm-scroller': { fontFamily: 'var(--editor-font)', lineHeight: '20px' },
  '.cm-content': { padding: '8px 0', caretColor: 'var(--accent)' },
  '.cm-gutters': { backgroundColor: 'var(--bg)', color: 'var(--text-3)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--muted) 55%, transparent)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-tooltip': {
    backgroundColor: 'var(--bg)',
    border: '1px solid var(--border)',
    borderRadius: '6px',
    boxShadow: 'var(--shadow)',
    color: 'var(--text)',
  },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--muted)', color: 'var(--text)' },
  '.cm-completionInfo, .cm-hint': { maxWidth: '26rem', padding: '6px 10px', fontFamily: 'var(--editor-sans)' },
});

const highlighting = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--ansi-4)' },
  { tag: [tags.string, tags.content], color: 'var(--text)' },
  { tag: [tags.keyword, tags.bool, tags.null], color: 'var(--ansi-5)' },
  { tag: tags.number, color: 'var(--ansi-6)' },
  { tag: [tags.comment, tags.meta], color: 'var(--text-3)', fontStyle: 'italic' },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: 'var(--text-2)' },
]);

/**
 * Types over what is selected in the browser's place. Chromium would give what is typed the look of what it replaces by an
 * inline style, which the page's policy refuses, and says so.
 */
const typesOver = EditorView.domEventHandlers({
  beforeinput: ({ inputType, data }, view) => {
    const { from, to, empty } = view.state.selection.main;
    if (inputType !== 'insertText' || data === null || empty) return false;
    const typed = () => view.state.update(view.state.replaceSelection(data), { userEvent: 'input.type', scrollIntoView: true });
    const isTaken = view.state.facet(EditorView.inputHandler).some((take) => take(view, from, to, data, typed));
    if (!isTaken) view.dispatch(typed());
    return true;
  },
});

/** An editor in `host`. It lives in a shadow root: there its styles are adopted, which the page's policy permits. */
export function open(host: HTMLElement, { value, label, theme, onChange, onSave }: Options): OpenEditor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const parent = document.createElement('div');
  parent.style.height = '100%';
  parent.style.setProperty('--editor-font', getComputedStyle(document.documentElement).getPropertyValue('--font-mono'));
  parent.style.setProperty('--editor-sans', getComputedStyle(document.documentElement).getPropertyValue('--font-sans'));
  root.replaceChildren(parent);
  const dark = new Compartment();
  const isDark = (current: 'light' | 'dark') => EditorView.darkTheme.of(current === 'dark');
  const view = new EditorView({
    parent,
    root,
    state: EditorState.create({
      doc: value,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        indentOnInput(),
        typesOver,
        indentUnit.of('  '),
        yaml(),
        syntaxHighlighting(highlighting),
        autocompletion({ override: [completions] }),
        hoverTooltip(explanation),
        keymap.of([
          { key: 'Mod-s', run: () => (onSave(), true), preventDefault: true },
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          indentWithTab,
        ]),
        EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) onChange(state.doc.toString());
        }),
        look,
        dark.of(isDark(theme)),
      ],
    }),
  });
  return {
    setProblems: (problems) => view.dispatch(setDiagnostics(view.state, problems.map((each) => diagnostic(view, each)))),
    setTheme: (next) => view.dispatch({ effects: dark.reconfigure(isDark(next)) }),
    goTo: (n) => {
      const { from } = view.state.doc.line(Math.min(Math.max(1, n), view.state.doc.lines));
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
      view.focus();
    },
    close: () => view.destroy(),
  };
}

/** The server counts characters, the editor units of UTF-16. */
function diagnostic({ state }: EditorView, { line, column, message, expected }: Problem): Diagnostic {
  const { from, to, text } = state.doc.line(Math.min(Math.max(1, line), state.doc.lines));
  const before = [...text].slice(0, Math.max(0, column - 1)).join('').length;
  const start = Math.min(from + before, to);
  const word = /^[^\s:,[\]{}]+/.exec(text.slice(before));
  return {
    from: start,
    to: Math.min(to, start + Math.max(1, word?.[0].length ?? 1)),
    severity: 'error',
    message: expected === '' ? message : `${message} (${expected})`,
  };
}
