#!/bin/sh
# The library as it is installed: its size without symbols, what it exports, and that it holds no gradient of a kernel,
# no loss, no optimizer and no reader of others' files.
set -eu
library=$1 header=$2
fail() {
  echo "$library: $1" >&2
  exit 1
}

stripped=$TEST_TMPDIR/libmase_predict.so
strip --strip-unneeded -o "$stripped" "$library"
bytes=$(stat -c %s "$stripped")
echo "$bytes bytes"
[ "$bytes" -le 2820000 ] || fail "$bytes bytes without symbols, want at most 2,820,000"

# What the header declares, and nothing else of any kind.
grep -o '^[a-z].*mase_predict[a-z_]*(' "$header" | grep -o 'mase_predict[a-z_]*($' | tr -d '(' | sort > "$TEST_TMPDIR/declared"
nm -D --defined-only --extern-only "$stripped" | awk '{ print $3 }' | sort > "$TEST_TMPDIR/exported"
diff "$TEST_TMPDIR/declared" "$TEST_TMPDIR/exported" || fail "exports (>) something else than $header declares (<)"
grep -q '^mase_predict$' "$TEST_TMPDIR/exported" || fail "does not export mase_predict"

# The names of all functions that are in it, also of those that are not exported.
nm -C --defined-only "$library" | awk '$2 ~ /[tTwW]/' > "$TEST_TMPDIR/all"
grep -q 'mase::UnaryKernels()' "$TEST_TMPDIR/all" || fail "has no symbols to look at"
for name in WithGradient TrainStep CrossEntropy OptimizerStep DenseNet DropoutKernel TrainingKernels \
    'ConvKernel<double>' 'BatchNormKernel<double' 'UnaryKernel<double' ReadTensorFile MapNames; do
  ! grep -m 3 "$name" "$TEST_TMPDIR/all" || fail "holds $name, which no prediction needs"
done
