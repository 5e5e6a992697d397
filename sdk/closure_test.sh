#!/usr/bin/env bash
# The headers of the SDK include nothing of ours but each other: nothing of exec, kernel, cli, run, train, quantize.
set -euo pipefail
failed=0
while read -r header; do
  while read -r included; do
    if [[ ! -e $included ]]; then
      echo "$header includes $included, which is not in sdk/headers.bzl"
      failed=1
    fi
  done < <(sed -nE 's/^#include "((mase|proto|plugins)\/[^"]+)".*/\1/p' "$header")
done < <(find -L mase proto -name '*.h')
test "$(find -L mase proto -name '*.h' | wc -l)" -gt 30
for room in exec kernel cli run train quantize pipeline search calibrate; do
  if [[ -e mase/$room ]]; then
    echo "the SDK has headers of mase/$room"
    failed=1
  fi
done
exit $failed
