// One abuse at a time: what the installation uses meanwhile, and how long somebody else waits for an answer.
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import type { Installation } from '../../e2e/src/harness/installation.js';
import { diskBytes, median, mib, sample, type Sample } from './measure.js';

const SAMPLE_MS = 250;
const ASK_MS = 50;
/** Who else is there comes from another address than the abuse. */
const OTHER_ADDRESS = '127.0.0.2';
const ANSWER_MS_MAX = 30_000;

export interface Report {
  name: string;
  before: Sample;
  peak: { serverBytes: number; supervisorBytes: number; redisBytes: number; diskBytes: number };
  after: Sample;
  /** Of `runs.get`, in milliseconds, sorted. */
  latencies: number[];
  failures: string[];
  refusals: Record<string, number>;
}

/** `runs.get` of somebody else, over a connection that stays open. */
export class Bystander {
  readonly latencies: number[] = [];
  readonly failures: string[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private isDone = false;
  private readonly going: Promise<void>;

  constructor(
    private readonly slipway: Installation,
    private readonly runId: string,
  ) {
    this.going = this.go();
  }

  private async go(): Promise<void> {
    while (!this.isDone) {
      const begun = performance.now();
      const failure = await this.ask();
      if (failure === undefined) this.latencies.push(performance.now() - begun);
      else this.failures.push(failure);
      await pause(ASK_MS);
    }
  }

  private async ask(): Promise<string | undefined> {
    const { port, adminToken } = this.slipway;
    const options = {
      host: '127.0.0.1',
      port,
      path: `/api/v1/runs/${this.runId}`,
      agent: this.agent,
      localAddress: OTHER_ADDRESS,
      headers: { authorization: `Bearer ${adminToken}` },
      timeout: ANSWER_MS_MAX,
    };
    return await new Promise((resolve) => {
      const asked = request(options, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode === 200 ? undefined : `status ${answer.statusCode}`));
      });
      asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
      asked.on('error', (error) => resolve(error.message));
      asked.end();
    });
  }

  async stop(): Promise<void> {
    this.isDone = true;
    await this.going;
    this.agent.destroy();
  }
}

/** Carries out an abuse, and looks at the installation meanwhile and afterwards. */
export async function measured(
  name: string,
  slipway: Installation,
  runId: string,
  abuse: () => Promise<Record<string, number>>,
): Promise<Report> {
  const before = await sample(slipway, 0);
  const peak = { serverBytes: 0, supervisorBytes: 0, redisBytes: 0, diskBytes: 0 };
  const bystander = new Bystander(slipway, runId);
  let isDone = false;
  const looking = (async () => {
    while (!isDone) {
      const { processes, redisBytes } = await sample(slipway, 0);
      peak.serverBytes = Math.max(peak.serverBytes, processes.server.rssBytes);
      peak.supervisorBytes = Math.max(peak.supervisorBytes, processes.supervisors.rssBytes);
      peak.redisBytes = Math.max(peak.redisBytes, redisBytes);
      peak.diskBytes = Math.max(peak.diskBytes, diskBytes(slipway.dir));
      await pause(SAMPLE_MS);
    }
  })();
  let refusals: Record<string, number>;
  try {
    refusals = await abuse();
  } finally {
    isDone = true;
    await looking;
    await bystander.stop();
  }
  const latencies = bystander.latencies.sort((a, b) => a - b);
  return { name, before, peak, after: await sample(slipway, 0), latencies, failures: bystander.failures, refusals };
}

export function print(report: Report): void {
  const { name, before, peak, after, latencies, failures, refusals } = report;
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))]?.toFixed(1);
  console.log(`${name}
  server, resident MiB   ${mib(before.processes.server.rssBytes)} before, ${mib(peak.serverBytes)} peak, ${mib(after.processes.server.rssBytes)} after
  supervisors, MiB       ${mib(peak.supervisorBytes)} peak
  Redis, used MiB        ${mib(before.redisBytes)} before, ${mib(peak.redisBytes)} peak, ${mib(after.redisBytes)} after
  on the disk, MiB       ${mib(peak.diskBytes)} peak
  runs.get of others, ms ${median(latencies).toFixed(1)} median, ${at(0.99)} p99, ${at(1)} max, ${latencies.length} answers, ${failures.length} failures
  told                   ${JSON.stringify(refusals)}`);
}
