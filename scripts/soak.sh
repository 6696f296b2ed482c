#!/bin/sh
# `make load` and `make soak`: runs the one or the other of tests/soak against the binary that `make build` has made.
#
#   scripts/soak.sh load | soak
set -eu
cd "$(dirname "$0")/.."
export MINUTES="${MINUTES:-20}"
export SLIPWAY_TEST_BIN="$PWD/target/release/slipway"
export SLIPWAY_TEST_REDIS_SERVER="$PWD/.cache/valkey/valkey-server"
if [ "$1" = load ]; then
  SLIPWAY_TEST_RELOADS=1000 node scripts/postgres.mjs exec -- npm run --silent --workspace tests/e2e test -- src/reloads.test.ts
fi
exec node scripts/postgres.mjs exec -- npm run --silent --workspace tests/soak "$1"
