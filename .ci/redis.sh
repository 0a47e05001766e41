#!/usr/bin/env bash
# Tests what works with Redis. The tests start redis-server themselves, on a free port of the loopback interface.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../webhooks/redistest"
go test -race -count=1 ./...
