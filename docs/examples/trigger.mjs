// Triggers a run by adding a job, and waits until Slipway has taken it.
//
//     REDIS_URL=redis://127.0.0.1:6379 node trigger.mjs <pipeline> [branch]
import { Queue, QueueEvents } from 'bullmq';

const [pipelineId, branch] = process.argv.slice(2);
const connection = { url: process.env.REDIS_URL };
const prefix = process.env.SLIPWAY_REDIS_PREFIX ?? '{slipway}';

const queue = new Queue('pipelines', { connection, prefix });
const events = new QueueEvents('pipelines', { connection, prefix });
await events.waitUntilReady();

// The name is yours to choose. The data is what `pipelines.trigger` takes.
const job = await queue.add('nightly', { pipelineId, branch, inputs: { REASON: 'nightly' } });
const { runId, number } = await job.waitUntilFinished(events, 30_000);
console.log(`run #${number}: ${runId}`);

await events.close();
await queue.close();
