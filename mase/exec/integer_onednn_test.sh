#!/usr/bin/env bash
# The sums of simulated layers come from oneDNN in part, those of layers on codes never: whatever
# instruction set oneDNN is held to, both give the same bits, on every one of our own. One thread:
# nets this small wait longer for a second one than they compute.
set -euo pipefail

for isa in SSE41 AVX2 AVX512_CORE AVX512_CORE_VNNI; do
  echo "ONEDNN_MAX_CPU_ISA=$isa"
  ONEDNN_MAX_CPU_ISA=$isa OMP_NUM_THREADS=1 "$1" --gtest_filter='*EveryInstructionSet*:*Sums*:*WorkedExample*'
done
