import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Fault } from './faults.js';
import type { Server } from './server.js';

const LIBRARIES = '/usr/lib';

/** Debian's library that gives one process another time; undefined where it is not installed. */
const FAKETIME = readdirSync(LIBRARIES)
  .map((directory) => join(LIBRARIES, directory, 'faketime', 'libfaketime.so.1'))
  .find((path) => existsSync(path));

/** A worker whose clock is a minute ahead: what it puts off may be late by as much. Its steps have the right time. */
export function skewed(worker: Server): Fault {
  return {
    kind: 'worker whose clock is off',
    part: worker.name,
    seconds: [[5, 20]],
    ...(FAKETIME === undefined ? { leftOut: "Debian's faketime is not installed" } : {}),
    inject: async () => {
      await worker.terminate();
      worker.start({ LD_PRELOAD: FAKETIME ?? '', FAKETIME: '+1m', FAKETIME_DONT_FAKE_MONOTONIC: '1' });
      return async () => {
        await worker.terminate();
        worker.start();
      };
    },
  };
}
