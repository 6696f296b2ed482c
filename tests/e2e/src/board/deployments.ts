import { FlowProducer, Queue } from 'bullmq';

import type { Installation } from '../harness/installation.js';

const prefix = '{slipway}';

/** What people have in the queue that is theirs: a flow of jobs, and a scheduler. Nobody works on it. */
export async function fillDeployments({ redisAddress: connection }: Installation): Promise<void> {
  const queue = new Queue('deployments', { connection, prefix });
  const flows = new FlowProducer({ connection, prefix });
  try {
    await queue.upsertJobScheduler('nightly', { every: 3_600_000 }, { name: 'night', data: { version: '1' } });
    const queueName = 'deployments';
    const child = (name: string) => ({ name, queueName, opts: { jobId: name } });
    await flows.add({ ...child('release'), children: [child('build'), child('test')] });
    await queue.add('first', {}, { jobId: 'first', priority: 5 });
  } finally {
    await queue.close();
    await flows.close();
  }
}
