#!/bin/sh
# `make run`: from a fresh clone to a served page.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh run
scripts/web.sh
# The dev profile: on two cores a first build takes a third of the time of a release build, which `make build`
# makes, and later ones take seconds.
echo 'server: building (minutes the first time, seconds after that)'
cargo build --locked
if ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
  SLIPWAY_REDIS_SERVER=${SLIPWAY_REDIS_SERVER:-$PWD/.cache/valkey/valkey-server}
  export SLIPWAY_REDIS_SERVER
fi
# In the place of this shell, so that a signal meets the server itself.
exec target/debug/slipway serve
