#!/bin/sh
# `make fuzz`: the fuzzed properties, round after round with other values, until the time is over or one of them fails.
#
#   scripts/fuzz.sh MINUTES
set -eu
cd "$(dirname "$0")/.."
minutes=$1
# Of each property, as many times more cases a round as this is above 256.
PROPTEST_CASES=${PROPTEST_CASES:-2560}
export PROPTEST_CASES

cargo test --locked --lib --test integration --no-run
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ends=$(($(date +%s) + minutes * 60))
round=0
while [ "$(date +%s)" -lt "$ends" ]; do
  round=$((round + 1))
  if ! cargo test --quiet --locked --lib --test integration fuzz:: -- --nocapture >"$log" 2>&1; then
    cat "$log"
    printf '\nround %d failed: the value above breaks the property\n' "$round"
    exit 1
  fi
  printf 'round %d, %d minutes to go\n' "$round" $(((ends - $(date +%s) + 59) / 60))
  # After the name of each property stands how many values it held for.
  grep -E '^[a-z_:]+: [0-9]+ cases$' "$log" | sort
done
