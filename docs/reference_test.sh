#!/usr/bin/env bash
# docs/reference/passes.md is what the comments of the passes' options say.
set -euo pipefail
mase/ch passes reference > "$TEST_TMPDIR/passes.md"
diff -u docs/reference/passes.md "$TEST_TMPDIR/passes.md" || {
  echo "stale: ./bazelw run //mase:ch -- passes reference > docs/reference/passes.md" >&2
  exit 1
}
