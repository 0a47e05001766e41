#!/usr/bin/env bash
# Gets Polar's own script for embedded checkouts, which the browser test loads. It comes out of a package that is not
# installed, since nothing else of it is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../examples/shop/browsertest"
script=testdata/embed.global.js
sum=970536fb667730f499cc8f05e8df4ec8c9d92e876d69550ca8e3b72d7bdc4ebe
if ! echo "$sum  $script" | sha256sum --check --status 2>/dev/null; then
  mkdir -p testdata
  tarball=$(cd testdata && npm pack --silent @polar-sh/checkout@0.1.15)
  tar -xzf "testdata/$tarball" -O package/dist/embed.global.js >"$script"
  rm "testdata/$tarball"
  echo "$sum  $script" | sha256sum --check --quiet
fi
