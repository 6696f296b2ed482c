/** The texts of what removes a run or its log, which come with the details of a run. */
export const en = {
  title: 'Remove',
  log: {
    title: 'Remove the log',
    text: 'Its lines go for good; the run stays, says so, and is not tried again.',
    ask: (name: string) => `Remove the log of ${name}, every line of it? It cannot be brought back.`,
  },
  run: {
    title: 'Delete the run',
    text: 'It goes with its steps and its log; its number is not given again.',
    ask: (name: string) => `Delete ${name} with its log? It cannot be brought back.`,
  },
};

export type RemovalCatalogue = typeof en;
