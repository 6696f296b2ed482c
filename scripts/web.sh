#!/bin/sh
# Builds what the server embeds (web-client/dist) when a source of it has changed since the last time.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
stamp=$(find web-client bindings docs/pipeline.schema.json -name node_modules -prune -o -name dist -prune -o -type f -print |
  LC_ALL=C sort | xargs cksum package-lock.json | cksum)
if [ "$(cat .cache/web-client.stamp 2>/dev/null)" = "$stamp" ] && [ -e web-client/dist/index.html ]; then
  exit 0
fi
echo 'web client: building'
npm run --silent --workspace web-client build
echo "$stamp" >.cache/web-client.stamp
