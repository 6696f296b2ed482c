// Works on the jobs of the queue `deployments`, until it is told to end.
//
//     REDIS_URL=redis://127.0.0.1:6379 node worker.mjs
import { Worker } from 'bullmq';

const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null };
const prefix = process.env.SLIPWAY_REDIS_PREFIX ?? '{slipway}';

const worker = new Worker(
  'deployments',
  async (job) => {
    await job.updateProgress(50);
    await job.log(`deploying ${job.data.version}`);
    return { deployed: job.data.version };
  },
  { connection, prefix, name: 'deployer', removeOnComplete: { count: 1_000 }, removeOnFail: { count: 5_000 } },
);
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
console.log('working');

process.once('SIGTERM', () => void worker.close());
process.once('SIGINT', () => void worker.close());
