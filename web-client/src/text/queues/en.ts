/** The texts of the page of the queues, which come with it. */
export const en = {
  title: 'Queues',
  now: 'Now',
  waiting: 'waiting',
  active: 'active',
  delayed: 'delayed',
  failed: 'failed',
  workers: 'workers',
  oldest: 'first in line, added',
  paused: 'The queue is paused: no run begins until somebody resumes it in Bull Board.',
  board: 'Open Bull Board',
  history: 'How busy it was',
  range: 'How far back',
  ranges: { '15m': '15 min', '1h': '1 h', '6h': '6 h', '24h': '24 h' },
  depth: 'Jobs in the queue',
  rate: 'Runs a minute',
  durations: 'Durations',
  median: 'median',
  slowest: '95 of 100',
  atMost: (parts: string) => `at most ${parts}`,
  table: 'As a table',
  time: 'Time',
};

export type QueuesCatalogue = typeof en;
