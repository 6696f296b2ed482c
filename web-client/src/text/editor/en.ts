/** The texts of the editor, which come with it. */
export const en = {
  title: 'Definition',
  label: 'Definition, YAML',
  problems: (n: number) => (n === 0 ? 'No problems' : n === 1 ? '1 problem' : `${n} problems`),
  checking: 'Checking',
  expected: (text: string) => `expected: ${text}`,
  unsaved: 'Not saved yet',
  leave: 'Leave without saving?',
  tooLong: 'A definition has at most 256 KiB.',
};

export type EditorCatalogue = typeof en;
