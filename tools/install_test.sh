#!/usr/bin/env bash
# An installation works from any folder, moved anywhere, without what Bazel sets.
set -euo pipefail
work=$TEST_TMPDIR/work
mkdir -p "$work"
BUILD_WORKING_DIRECTORY=$work tools/install.sh first > "$work/log"
grep -q '^installed below' "$work/log"
grep -q '^libsoci-sqlite3' "$work/first/share/mase/packages"
test -s "$work/first/share/man/man1/ch.1"
if command -v nroff > /dev/null; then # As it is read, on 80 columns.
  nroff -man -rLL=80n "$work/first/share/man/man1/ch.1" | sed 's/\x1b\[[0-9;]*m//g; s/.\x08//g' > "$work/manual"
  grep -q 'ch ACTION' "$work/manual"
  test "$(wc -L < "$work/manual")" -le 80
fi
mv "$work/first" "$work/moved"
run() { env -i PATH="$PATH" HOME="$work" "$work/moved/bin/ch" "$@"; }
cd /
run transform --config="$work/moved/share/mase/configs/jsc_tiny_integer.toml" --run_dir="$work/run" > "$work/out"
grep -q 'accuracy' "$work/out"
test -s "$work/run/summary.json"
# Files, since grep -q would leave before all is said.
run passes describe calibrate > "$work/described"
grep -q 'percentile: number; above 0 and at most 100; default 99.99' "$work/described"
run explain --config="$work/moved/share/mase/configs/jsc_tiny_integer.toml" > "$work/explained"
grep -q 'quantize.linear.config.name = integer' "$work/explained"
run completion bash | cmp - "$work/moved/share/bash-completion/completions/ch"
run version > "$work/version"
grep -q '^oneDNN' "$work/version"

# The examples in C, C++ and Python say the same of rows, built with what is installed alone.
examples=$work/moved/share/mase/examples net=$work/moved/share/mase/checkpoints/jsc-toy.safetensors
flags() {
  if command -v pkg-config > /dev/null; then
    PKG_CONFIG_PATH=$work/moved/lib/pkgconfig pkg-config --cflags --libs mase_predict
  else
    echo "-I$work/moved/include -L$work/moved/lib -Wl,-rpath,$work/moved/lib -lmase_predict"
  fi
}
awk 'BEGIN { for (r = 0; r < 40; ++r) for (i = 0; i < 16; ++i) printf "%g%s", (r * 7 + i * 5) % 23 / 4 - 2, i < 15 ? "," : "\n" }' > "$work/rows.csv"
# shellcheck disable=SC2046
gcc -Wall -Wextra -Werror "$examples/predict.c" -o "$work/predict_c" $(flags)
# shellcheck disable=SC2046
g++ -Wall -Wextra -Werror -std=c++17 "$examples/predict.cc" -o "$work/predict_cc" $(flags)
"$work/predict_c" "$net" < "$work/rows.csv" > "$work/classes_c"
"$work/predict_cc" "$net" < "$work/rows.csv" > "$work/classes_cc"
MASE_PREDICT=$work/moved/lib/libmase_predict.so python3 "$examples/predict.py" "$net" < "$work/rows.csv" > "$work/classes_py"
test "$(wc -l < "$work/classes_c")" = 40
test "$(sort -u "$work/classes_c" | wc -l)" -gt 1
cmp "$work/classes_c" "$work/classes_cc"
cmp "$work/classes_c" "$work/classes_py"
# What cannot be written is an error and says so, on a full disk and where stdout is closed.
fails() {
  if "$@" < "$work/rows.csv" > /dev/full 2> "$work/error"; then exit 1; fi
  grep -q '^stdout: ' "$work/error"
  if "$@" < "$work/rows.csv" >&- 2> "$work/error"; then exit 1; fi
  grep -q '^stdout: ' "$work/error"
}
fails "$work/predict_c" "$net"
fails "$work/predict_cc" "$net"
fails env MASE_PREDICT="$work/moved/lib/libmase_predict.so" python3 "$examples/predict.py" "$net"
# What cannot be read is no end of the rows: a file that is open for writing alone, and a closed stdin.
unread() {
  if "$@" 0> "$work/unread" > "$work/classes" 2> "$work/error"; then exit 1; fi
  grep -q '^stdin: ' "$work/error"
  if "$@" <&- > "$work/classes" 2> "$work/error"; then exit 1; fi
  grep -q '^stdin: ' "$work/error"
  test ! -s "$work/classes"
}
unread "$work/predict_c" "$net"
unread "$work/predict_cc" "$net"
unread env MASE_PREDICT="$work/moved/lib/libmase_predict.so" python3 "$examples/predict.py" "$net"
# With no symbols but its own functions.
nm -D --defined-only --extern-only "$work/moved/lib/libmase_predict.so" | awk '{ print $3 }' > "$work/symbols"
grep -q '^mase_predict$' "$work/symbols"
if grep -qv '^mase_predict' "$work/symbols"; then exit 1; fi
if "$work/predict_c" /no/such/file < /dev/null 2> "$work/error"; then exit 1; fi
grep -q '/no/such/file' "$work/error"
