#!/bin/sh
# Trains the nets of this folder again, here, with the same bytes on the same kind of machine:
#
#   ./bazelw build //mase:train && testdata/checkpoints/make.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for model in jsc-tiny jsc-tiny-handout jsc-toy jsc-s jsc-trt jsc-nas jsc-custom jsc-toy10x report-000; do
  "$root/bazel-bin/mase/train_main" "$model" jsc-sim --max-epochs=30 --batch-size=256 \
    --learning-rate=1e-3 --run_dir="$work/$model"
  cp "$work/$model/best.safetensors" "$root/testdata/checkpoints/$model.safetensors"
done
