#!/usr/bin/env bash
# An installation works from any folder, moved anywhere, without what Bazel sets.
set -euo pipefail
work=$TEST_TMPDIR/work
mkdir -p "$work"
BUILD_WORKING_DIRECTORY=$work tools/install.sh first > "$work/log"
grep -q '^installed below' "$work/log"
test -s "$work/first/share/mase/packages"
test -s "$work/first/share/man/man1/ch.1"
mv "$work/first" "$work/moved"
run() { env -i PATH="$PATH" HOME="$work" "$work/moved/bin/ch" "$@"; }
cd /
run transform --config="$work/moved/share/mase/configs/jsc_tiny_integer.toml" --run_dir="$work/run" > "$work/out"
grep -q 'accuracy' "$work/out"
test -s "$work/run/summary.json"
run passes describe calibrate | grep -q 'percentile: number; above 0 and at most 100; default 99.99'
run explain --config="$work/moved/share/mase/configs/jsc_tiny_integer.toml" | grep -q 'quantize.linear.config.name = integer'
run completion bash | cmp - "$work/moved/share/bash-completion/completions/ch"
run version | grep -q '^oneDNN'
