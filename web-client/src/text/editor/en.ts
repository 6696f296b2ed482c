const after = (needs: readonly string[]) => `after ${needs.join(', ')}`;

/** The texts of the editor, which come with it. */
export const en = {
  title: 'Definition',
  label: 'Definition, YAML',
  problems: (n: number) => (n === 0 ? 'No problems' : n === 1 ? '1 problem' : `${n} problems`),
  checking: 'Checking',
  expected: (text: string) => `expected: ${text}`,
  unsaved: 'Not saved yet',
  leave: 'Leave without saving?',
  preview: 'Preview',
  noPreview: 'The steps are drawn here once nothing is wrong.',
  oldPreview: 'As it was before the problems',
  plan: {
    success: (needs: readonly string[]) => (needs.length === 0 ? 'at once' : after(needs)),
    failure: (needs: readonly string[]) => `if ${needs.length === 0 ? 'a step' : needs.join(' or ')} fails`,
    always: (needs: readonly string[]) => (needs.length === 0 ? 'at once' : `${after(needs)}, always`),
  },
  tooLong: 'A definition has at most 256 KiB.',
};

export type EditorCatalogue = typeof en;
