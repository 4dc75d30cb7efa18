#!/bin/sh
# Generates ../gen from the protos: buf and protoc-gen-es come from npm into a temporary directory, because neither is
# needed to build, test or run the product. Then records the sha256 of every source in ../gen/SOURCES.json, which
# test/apps/platform/gen.test.ts compares. Set TOOLS_DIR to a directory that has both already.
set -eu
cd "$(dirname "$0")"
tools="${TOOLS_DIR:-$(mktemp -d)}"
if [ ! -x "$tools/node_modules/.bin/buf" ]; then
  npm install --silent --no-save --prefix "$tools" @bufbuild/buf@1.75.0 @bufbuild/protoc-gen-es@2.17.0
fi
PATH="$tools/node_modules/.bin:$PATH"
export PATH
buf lint
buf generate
{
  echo '{'
  find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort | while read -r file; do
    sum=$(sha256sum "$file" | cut -d' ' -f1)
    printf '%s  "%s": "%s"' "${separator:-}" "$file" "$sum"
    separator=',
'
  done
  printf '\n}\n'
} > ../gen/SOURCES.json
