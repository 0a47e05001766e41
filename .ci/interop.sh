#!/usr/bin/env bash
# Compares package webhooks with implementations in JavaScript. Needs Node 20 or later; installs the packages that
# webhooks/testdata/interop/package-lock.json pins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../webhooks"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || { echo "node $(node --version) is too old: 20 or later is needed" >&2; exit 1; }
(cd testdata/interop && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
go test -count=1 -run '^TestInterop' .
