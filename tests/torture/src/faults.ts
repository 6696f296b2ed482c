import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { supervisorsIn } from '../../e2e/src/harness/processes.js';
import { until } from '../../e2e/src/harness/until.js';
import type { Cluster } from './cluster.js';
import { skewed } from './clock.js';
import type { Disk } from './disk.js';
import type { Embedded } from './embedded.js';
import type { Link } from './link.js';
import { signalIfThere } from './processes.js';
import { command } from './redis.js';
import type { Server } from './server.js';
import type { Setup } from './setup.js';

type Heal = () => Promise<void> | void;

/** Something that can be broken, and how. */
export interface Fault {
  kind: string;
  /** What it breaks: no two faults break one part at a time. */
  part: string;
  /** How long it may be held: one of these ranges, in seconds. */
  seconds: [number, number][];
  /** Why it cannot be on this machine. It is drawn all the same, so that a seed means the same everywhere. */
  leftOut?: string;
  inject: (holdMs: number) => Promise<Heal> | Heal;
}

const BRIEF: Fault['seconds'] = [[0.2, 4]];
const LONGER: Fault['seconds'] = [[1, 6], [1, 12]];
/** Mostly short, at times longer than a host may be silent. */
const SILENT: Fault['seconds'] = [[0.5, 5], [1, 6], [10, 16], [30, 60]];
/** Nobody starts a private Redis again while its server is stopped, which may be for a minute. */
const TELL_MS_MAX = 120_000;

/** All faults of a setup. */
export function faultsOf(setup: Setup): Fault[] {
  return [
    ...setup.servers.flatMap(faultsOfServer),
    ...faultsOfSupervisors(setup),
    ...faultsOfRedis(setup),
    ...faultsOfLink(setup.clients),
    failingObjects(setup),
    ...(isCluster(setup) ? faultsOfCluster(setup) : []),
    ...(isEmbedded(setup) ? faultsOfEmbedded(setup) : []),
  ];
}

function isCluster(setup: Setup): setup is Cluster {
  return setup.kind === 'cluster';
}

function isEmbedded(setup: Setup): setup is Embedded {
  return setup.kind === 'embedded';
}

/** `api 0` is an API. */
function role(part: string): string {
  return part.replace(/ \d+$/, '');
}

function faultsOfServer(server: Server): Fault[] {
  const part = server.name;
  return [
    {
      kind: `${role(part)} killed`,
      part,
      seconds: BRIEF,
      inject: async () => {
        await server.kill();
        return () => server.start();
      },
    },
    {
      kind: `${role(part)} stopped`,
      part,
      seconds: SILENT,
      inject: () => {
        server.stop();
        return () => server.resume();
      },
    },
    {
      kind: `${role(part)} restarted`,
      part,
      seconds: BRIEF,
      inject: async () => {
        await server.terminate();
        return () => server.start();
      },
    },
  ];
}

function faultsOfSupervisors(setup: Setup): Fault[] {
  const part = 'supervisors';
  const signal = (name: NodeJS.Signals, count = Infinity) => {
    const found = supervisorsIn(setup.dir).slice(0, count);
    for (const { pid } of found) signalIfThere(pid, name);
    return found;
  };
  const none: Heal = () => undefined;
  return [
    { kind: 'one supervisor killed', part, seconds: [[0, 1]], inject: () => (signal('SIGKILL', 1), none) },
    { kind: 'all supervisors killed', part, seconds: [[0, 1]], inject: () => (signal('SIGKILL'), none) },
    {
      kind: 'all supervisors stopped',
      part,
      seconds: LONGER,
      inject: () => {
        const stopped = signal('SIGSTOP');
        return () => stopped.forEach(({ pid }) => signalIfThere(pid, 'SIGCONT'));
      },
    },
  ];
}

function faultsOfRedis(setup: Setup): Fault[] {
  const part = 'redis';
  /** It may be away for another reason at this moment. */
  const tell = (...words: (string | number)[]) =>
    until(`redis takes ${words.join(' ')}`, () => command(setup.redisAt, ...words).then(() => true), TELL_MS_MAX);
  const turned = (kind: string, on: (string | number)[], off: (string | number)[]): Fault => ({
    kind,
    part,
    seconds: LONGER,
    inject: async () => {
      await tell(...on);
      return async () => {
        await tell(...off);
      };
    },
  });
  return [
    turned('redis read-only', ['REPLICAOF', '127.0.0.1', 1], ['REPLICAOF', 'NO', 'ONE']),
    turned('redis out of memory', ['CONFIG', 'SET', 'maxmemory', '1mb'], ['CONFIG', 'SET', 'maxmemory', 0]),
    {
      kind: 'redis emptied',
      part,
      seconds: [[0, 1]],
      inject: async () => {
        await tell('FLUSHALL');
        return () => undefined;
      },
    },
    {
      kind: 'redis paused',
      part,
      seconds: [[0.5, 8]],
      inject: async (holdMs) => {
        await tell('CLIENT', 'PAUSE', Math.round(holdMs), 'ALL');
        return () => undefined;
      },
    },
  ];
}

function faultsOfLink(link: Link): Fault[] {
  const part = link.name;
  const mend = () => link.mend();
  return [
    { kind: 'link cut', part, seconds: [[0, 0.1]], inject: () => (link.cut(), mend) },
    { kind: 'link refuses', part, seconds: LONGER, inject: () => (link.refuse(), mend) },
    { kind: 'link swallows', part, seconds: SILENT, inject: () => (link.swallow(), mend) },
    {
      kind: 'link slow',
      part,
      seconds: LONGER,
      inject: (holdMs) => (link.delay(20 + (holdMs % 300)), mend),
    },
  ];
}

/** Writes and lists fail, for root too. */
function failingObjects({ objects }: Setup): Fault {
  const logs = join(objects, 'logs');
  const aside = join(objects, 'logs.aside');
  return {
    kind: 'object store fails',
    part: 'objects',
    seconds: LONGER,
    inject: () => {
      mkdirSync(objects, { recursive: true });
      const isThere = existsSync(logs);
      if (isThere) renameSync(logs, aside);
      writeFileSync(logs, '');
      return () => {
        rmSync(logs, { force: true });
        if (isThere) renameSync(aside, logs);
      };
    },
  };
}

function faultsOfEmbedded(setup: Embedded): Fault[] {
  const { disk } = setup;
  return [
    {
      kind: 'redis killed',
      part: 'redis',
      seconds: [[0, 1]],
      inject: () => (setup.signalRedis('SIGKILL'), () => undefined),
    },
    {
      kind: 'redis stopped',
      part: 'redis',
      seconds: LONGER,
      inject: () => (setup.signalRedis('SIGSTOP'), () => setup.signalRedis('SIGCONT')),
    },
    fullDisk('disk', disk, () => undefined),
  ];
}

function faultsOfCluster(setup: Cluster): Fault[] {
  const { redis, postgres, disk } = setup;
  const startPostgres = () => postgres.start();
  return [
    ...setup.links.flatMap(faultsOfLink),
    {
      kind: 'redis killed',
      part: 'redis',
      seconds: LONGER,
      inject: async () => (await redis.kill(), () => setup.startRedis()),
    },
    {
      kind: 'redis lost',
      part: 'redis',
      seconds: BRIEF,
      inject: async () => {
        await redis.kill();
        setup.forgetRedis();
        return () => setup.startRedis();
      },
    },
    {
      kind: 'redis stopped',
      part: 'redis',
      seconds: LONGER,
      inject: () => (redis.stop(), () => redis.resume()),
    },
    {
      kind: 'postgres killed',
      part: 'postgres',
      seconds: LONGER,
      inject: async () => (await postgres.crash(), startPostgres),
    },
    {
      kind: 'postgres restarted',
      part: 'postgres',
      seconds: BRIEF,
      inject: async () => (await postgres.terminate(), startPostgres),
    },
    {
      kind: 'postgres stopped',
      part: 'postgres',
      seconds: LONGER,
      inject: () => (postgres.stop(), () => postgres.resume()),
    },
    {
      kind: 'postgres ends its sessions',
      part: 'postgres',
      seconds: [[0, 1]],
      inject: async () => (await postgres.terminateBackends(), () => undefined),
    },
    // A server that cannot write its log ends.
    fullDisk('postgres', disk, startPostgres),
    ...setup.workers.map(skewed),
  ];
}

/** `afterwards`: what has to be done once there is room again. */
function fullDisk(part: string, disk: Disk | undefined, afterwards: Heal): Fault {
  return {
    kind: 'disk full',
    part,
    seconds: LONGER,
    ...(disk === undefined ? { leftOut: 'only root may mount a disk that can be filled' } : {}),
    inject: () => {
      disk?.fill();
      return async () => {
        disk?.empty();
        await afterwards();
      };
    },
  };
}
