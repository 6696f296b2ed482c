/** The texts of what triggers and changes a pipeline, which come with those pages and dialogs. */
export const en = {
  trigger: {
    title: (name: string) => `Trigger ${name}`,
    branch: 'Branch',
    defaultBranch: (name: string) => `${name} (default)`,
    inputs: 'Inputs',
    inputName: 'Name',
    inputValue: 'Value',
    addInput: 'Add an input',
    removeInput: (name: string) => `Remove ${name}`,
    hint: 'Steps see them as SLIPWAY_INPUT_<NAME>.',
    submit: 'Trigger',
  },
  form: {
    name: 'Name',
    nameHint: 'Letters, digits, spaces and . _ - /',
    description: 'Description',
    repository: 'Git repository',
    repositoryHint: 'What git clone takes. Without one, steps run in an empty folder.',
    branch: 'Default branch',
    deleteTitle: 'Delete this pipeline',
    deleteText: 'Its past runs stay. A pipeline with live runs is not deleted.',
    deleteAsk: (name: string) => `Type ${name} to delete it`,
  },
};

export type PipelineCatalogue = typeof en;
