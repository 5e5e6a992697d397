#!/usr/bin/env bash
# Runs every "./bazelw run //mase:X -- ARGS" line of README.md, as its reader would, with the binaries that
# Bazel built. "./bazelw test" is what runs this test.
set -euo pipefail
root=$PWD
work=$TEST_TMPDIR/caller
mkdir -p "$work"
ln -s "$root/testdata" "$work/testdata"
export BUILD_WORKING_DIRECTORY=$work
count=0
while IFS= read -r line; do
  program=$(sed -E 's,^ *\./bazelw run //mase:([a-z_]+).*,\1,' <<<"$line")
  arguments=$(sed -E 's,^ *\./bazelw run //mase:[a-z_]+( -- )?,,' <<<"$line")
  echo "== $program $arguments"
  binary=$root/mase/$program
  [ -f "$binary" ] || binary=${binary}_main  # A program that shares its name with a room.
  eval "\"$binary\" $arguments" || { echo "failed: $line"; exit 1; }
  count=$((count + 1))
done < <(grep -E '^ *\./bazelw run //mase:' "$root/README.md")
echo "$count commands"
[ "$count" -ge 3 ]
