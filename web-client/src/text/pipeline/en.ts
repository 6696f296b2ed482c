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
  retention: {
    title: 'What is kept',
    text: (runsMin: number) =>
      'What has had its time is removed for good, once it has ended.' +
      (runsMin === 0 ? '' : ` ${runsMin === 1 ? 'The last run is' : `The last ${runsMin} runs are`} kept with their logs, however old.`),
    runs: 'Runs and their logs',
    logs: 'Logs alone',
    keepRuns: 'Number of runs that have ended',
    byDefault: (general?: string) => `Server's default${general === undefined ? '' : `: ${general.toLowerCase()}`}`,
    forever: 'For ever',
    withRuns: 'As long as their runs',
    anyNumber: 'Any number',
    newest: (count: number) => `The newest ${count}`,
    ownAge: 'A time of its own',
    ownNumber: 'A number of its own',
    unit: 'Unit',
    units: { d: 'days', h: 'hours', m: 'minutes', s: 'seconds' },
  },
};

export type PipelineCatalogue = typeof en;
