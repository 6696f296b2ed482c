// Node's own Bull Board on Slipway's queues. Who reaches it may do everything: put it behind a door of its own.
//
//     REDIS_URL=redis://127.0.0.1:6379 PORT=3000 node board.mjs
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { Queue } from 'bullmq';
import express from 'express';

const connection = { url: process.env.REDIS_URL };
const prefix = process.env.SLIPWAY_REDIS_PREFIX ?? '{slipway}';
const queues = ['pipelines', 'deployments'].map((name) => new Queue(name, { connection, prefix }));

const serverAdapter = new ExpressAdapter();
serverAdapter.setBasePath('/queues');
createBullBoard({ queues: queues.map((queue) => new BullMQAdapter(queue)), serverAdapter });

const server = express()
  .use('/queues', serverAdapter.getRouter())
  .listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));

process.once('SIGTERM', () => {
  server.close();
  void Promise.all(queues.map((queue) => queue.close()));
});
