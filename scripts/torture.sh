#!/bin/sh
# `make torture`: breaks a whole installation for a while, and checks that it keeps what it promises.
#
#   scripts/torture.sh [SEED] [MINUTES] [embedded | cluster | both]
set -eu
cd "$(dirname "$0")/.."
TORTURE_SEED=${1:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
TORTURE_MINUTES=${2:-5}
TORTURE_ON=${3:-both}
SLIPWAY_TEST_BIN=${SLIPWAY_TEST_BIN:-$PWD/target/debug/slipway}
SLIPWAY_TEST_REDIS_SERVER=$PWD/.cache/valkey/valkey-server
export TORTURE_SEED TORTURE_MINUTES TORTURE_ON SLIPWAY_TEST_BIN SLIPWAY_TEST_REDIS_SERVER
echo "torture: seed $TORTURE_SEED, $TORTURE_MINUTES minutes on $TORTURE_ON"
exec npm run --silent --workspace tests/torture test -- src/torture.test.ts
