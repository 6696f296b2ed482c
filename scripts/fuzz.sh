#!/bin/sh
# `make fuzz`: the fuzzed properties, round after round with other values, until the time is over or one of them fails.
#
#   scripts/fuzz.sh MINUTES
set -eu
cd "$(dirname "$0")/.."
ends=$(($(date +%s) + $1 * 60))
# Of each property, as many times more cases a round as this is above 256.
PROPTEST_CASES=${PROPTEST_CASES:-2560}
export PROPTEST_CASES

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cargo test --locked --lib --test integration --no-run 2>&1 | tee "$dir/build"
# Copies, so that the source may be worked on meanwhile.
sed -n 's/.* Executable .*(\(.*\))$/\1/p' "$dir/build" | while read -r program; do cp "$program" "$dir/"; done
rm "$dir/build"

round=0
while [ "$(date +%s)" -lt "$ends" ]; do
  round=$((round + 1))
  for program in "$dir"/*; do
    if ! "$program" fuzz:: --nocapture --quiet >"$dir/log" 2>&1; then
      cat "$dir/log"
      printf '\nround %d: the value above breaks the property\n' "$round"
      exit 1
    fi
    # The name of each property, and how many values it held for.
    grep -oE '[a-z_:]+: [0-9]+ cases$' "$dir/log" | sort | sed "s/^/round $round: /"
    rm "$dir/log"
  done
done
