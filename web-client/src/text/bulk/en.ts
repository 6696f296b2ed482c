/** The texts of the dialog of bulk works, which come with it. */
export const en = {
  title: 'Do something to all of these runs',
  all: 'No filter: all runs.',
  action: 'What is done',
  actions: { cancel: 'Cancel', retry: 'Retry', delete: 'Delete' },
  concerns: {
    cancel: 'those that have not ended',
    retry: 'those that failed or went well, from what failed',
    delete: 'those that have ended, with their logs',
  },
  preview: (n: number, leftOut: string) =>
    `${n === 1 ? '1 run' : `${n.toLocaleString('en')} runs`}${leftOut === '' ? '' : `; left out: ${leftOut}`}.`,
  leftOut: {
    live: (n: number) => `${n.toLocaleString('en')} not ended`,
    ended: (n: number) => `${n.toLocaleString('en')} ended`,
    canceled: (n: number) => `${n.toLocaleString('en')} canceled`,
    no_log: (n: number) => `${n.toLocaleString('en')} without a log`,
  },
  noRight: (n: number) => `${n.toLocaleString('en')} more match where you may not do this.`,
  more: (n: number) => `More match: these are the newest ${n.toLocaleString('en')}.`,
  newest: 'The newest of them',
  sure: 'They and their logs are gone for good.',
  start: {
    cancel: (n: number) => (n === 1 ? 'Cancel 1 run' : `Cancel ${n.toLocaleString('en')} runs`),
    retry: (n: number) => (n === 1 ? 'Retry 1 run' : `Retry ${n.toLocaleString('en')} runs`),
    delete: (n: number) => (n === 1 ? 'Delete 1 run' : `Delete ${n.toLocaleString('en')} runs`),
  },
  state: {
    running: (n: number, of: number) => `${n.toLocaleString('en')} of ${of.toLocaleString('en')}:`,
    stopping: (n: number, of: number) => `Stopping at ${n.toLocaleString('en')} of ${of.toLocaleString('en')}:`,
    done: (_: number, of: number) => `All ${of.toLocaleString('en')} looked at:`,
    stopped: (n: number, of: number) => `Stopped at ${n.toLocaleString('en')} of ${of.toLocaleString('en')}:`,
  },
  outcome: (done: number, skipped: number) => `${done.toLocaleString('en')} done, ${skipped.toLocaleString('en')} left out.`,
  goesOn: 'It goes on when this is closed.',
  stop: 'Stop',
};

export type BulkCatalogue = typeof en;
