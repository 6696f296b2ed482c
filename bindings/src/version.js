/** This package's. Pages of two versions do not share a worker. */
export const VERSION = '0.1.0';
