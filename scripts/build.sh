#!/bin/sh
# `make build`: one file to take to another machine, and a valkey-server beside it where this one has none.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh run
scripts/web.sh
cargo build --locked --release
if ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
  # By way of a new file, since a program that runs cannot be written to.
  cp .cache/valkey/valkey-server target/release/valkey-server.new
  mv target/release/valkey-server.new target/release/valkey-server
fi
ls -l target/release/slipway
