#!/usr/bin/env python3
"""Whether anything has become slow: what tools/nightly runs.

  python3 benchmarks/check_speed.py          builds the benchmarks, and runs them on one core and on two

Times depend on the machine, so each limit is a ratio of two times of one run, at about three quarters of what the ratio
was when the limit was written (a Sapphire Rapids without AMX). Limits of kernels on codes hold for processors with
VNNI, those of formats for AVX-512; on others they are shown and not judged. A ratio below its limit is measured twice
more, since programs beside it spoil it. Ends with 1 if one stays below.
"""
import os
import pathlib
import re
import subprocess
import sys

from compare_inference import ROOT, isa, least_by_name, show

PREDICT = "mase/predict/predictor_benchmark"
INTEGER = "mase/exec/integer_benchmark"
TRAIN = "mase/train/train_benchmark"
FORMAT = "mase/format/format_benchmark"

# What it is, a program, the benchmark with the longer time, that with the shorter, and the least ratio of both.
LIMITS = (
    ("mlp, 1 row: int8 beside float", PREDICT, "Predict/mlp_float/1", "Predict/mlp_integer/1", 1.7),
    ("mlp, 1,024 rows: int8", PREDICT, "Predict/mlp_float/1024", "Predict/mlp_integer/1024", 1.8),
    ("mlp, 1,024 rows: simulated", PREDICT, "Predict/mlp_float/1024", "Predict/mlp_simulated/1024", 0.58),
    ("jsc-tiny, 1 row: int8", PREDICT, "Predict/jsc_tiny_float/1", "Predict/jsc_tiny_integer/1", 0.8),
    ("jsc-tiny, 1 row: simulated", PREDICT, "Predict/jsc_tiny_float/1", "Predict/jsc_tiny_simulated/1", 0.22),
    ("jsc-tiny, 1,024 rows: int8", PREDICT, "Predict/jsc_tiny_float/1024", "Predict/jsc_tiny_integer/1024", 1.05),
    ("jsc-toy, 1,024 rows: int8", PREDICT, "Predict/jsc_toy_float/1024", "Predict/jsc_toy_integer/1024", 1.05),
    ("jsc-toy, 1,024 rows: simulated", PREDICT, "Predict/jsc_toy_float/1024", "Predict/jsc_toy_simulated/1024", 0.65),
    ("jsc-toy10x, 1,024 rows: int8", PREDICT, "Predict/jsc_toy10x_float/1024", "Predict/jsc_toy10x_integer/1024", 1.6),
    ("linear 256: int8", INTEGER, "Run/linear256/0/1024", "Run/linear256/2/1024", 2.6),
    ("linear 1024: int8", INTEGER, "Run/linear1024/0/1024", "Run/linear1024/2/1024", 3.4),
    ("linear 256 of codes beside oneDNN", INTEGER, "OneDnnMatmul/256/1024", "LinearOfCodes/256/1024", 0.68),
    ("linear 1024 of codes beside oneDNN", INTEGER, "OneDnnMatmul/1024/1024", "LinearOfCodes/1024/1024", 0.75),
    ("signs by bits beside bytes", INTEGER, "LinearOfSigns/1024/1024/1/0", "LinearOfSigns/1024/1024/1/1", 1.7),
    ("VGG7, 64 images: int8", INTEGER, "Run/vgg7/0/64", "Run/vgg7/2/64", 1.6),
    ("ResNet-18, 64 images: int8", INTEGER, "Run/resnet18/0/64", "Run/resnet18/2/64", 2.2),
    ("a quantized step of training, mlp", TRAIN, "BM_Steps/mlp/1024", "BM_QuantizedSteps/mlp/1024", 0.5),
    ("a quantized step of training, jsc-tiny", TRAIN, "BM_Steps/jsc_tiny/256", "BM_QuantizedSteps/jsc_tiny/256", 0.32),
    ("rounding to integer beside memcpy", FORMAT, "memcpy/262144",
     "integer { width: 8 frac_width: 4 }/AVX-512/262144", 0.65),
    ("rounding to minifloat_ieee", FORMAT, "memcpy/262144",
     "minifloat_ieee { width: 8 exponent_width: 4 }/AVX-512/262144", 0.6),
    ("rounding to mxint", FORMAT, "memcpy/262144", "mxint { block_size: 16 element_bits: 8 }/AVX-512/262144", 0.27),
)
# The wall clock of one thread beside that of two.
TWO_CORES = (
    ("mlp, 16,384 rows: int8", PREDICT, "Predict/mlp_integer/16384", 1.5),
    ("linear 1024: int8", INTEGER, "Run/linear1024/2/1024", 1.5),
    ("VGG7, 64 images: int8", INTEGER, "Run/vgg7/2/64", 1.5),
)
ATTEMPTS = 3


def measure(program, names, **how):
    anything = "|".join(f"^{re.sub('[{}]', '.', name)}(/real_time)?$" for name in names)  # Braces are its own.
    return least_by_name(ROOT / "bazel-bin" / program, anything, 0.2, repetitions=3, **how)


def ratios_of_kernels(program):
    """By position in LIMITS, of all of one program. A benchmark that says it cannot run here has no time; one that is
    gone makes its ratio 0, so that nothing stops being looked at by a new name."""
    asked = {i: limit for i, limit in enumerate(LIMITS) if limit[1] == program}
    times = measure(program, dict.fromkeys(name for limit in asked.values() for name in limit[2:4]))
    ratios = {}
    for i, (_, _, slower, faster, _) in asked.items():
        if slower not in times or faster not in times:
            ratios[i] = 0
        elif times[slower] and times[faster]:
            ratios[i] = times[slower] / times[faster]
    return ratios


def best_of(measured, limits):
    """Ratios by position: measured again while one is below its limit."""
    best = {}
    for _ in range(ATTEMPTS):
        for i, ratio in measured().items():
            best[i] = max(ratio, best.get(i, 0))
        if all(ratio >= limits[i][-1] for i, ratio in best.items()):
            break
    return best


def judged(limits, best, applies):
    """Rows of a table, and whether one is below its limit."""
    rows, slow = [], False
    for i, ratio in sorted(best.items()):
        below = applies and ratio < limits[i][-1]
        slow |= below
        word = "SLOW" if below else "" if applies else "not judged here"
        rows.append((limits[i][0], ratio, limits[i][-1], word))
    return rows, slow


def main():
    # With AMX, which no kernel of ours uses, oneDNN takes a quarter of the time.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
    programs = list(dict.fromkeys(limit[1] for limit in LIMITS))
    labels = ["//" + ":".join(program.rsplit("/", 1)) for program in programs]
    subprocess.run([ROOT / "bazelw", "build", *labels], cwd=ROOT, check=True)
    print(f"{isa()}, {os.cpu_count()} cores")
    best = {}
    for program in programs:
        best.update(best_of(lambda: ratios_of_kernels(program), LIMITS))
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    rows, slow = judged(LIMITS, best, "avx512_vnni" in flags)
    show("One core, ratios of times", ("", "ratio", "at least", ""), rows)

    if os.cpu_count() > 1:
        def two_cores():
            found = {}
            for i, (_, program, name, _) in enumerate(TWO_CORES):
                one, two = (measure(program, [name], time="real_time", threads=threads)[name] for threads in (1, 2))
                found[i] = one / two
            return found

        rows, slow_too = judged(TWO_CORES, best_of(two_cores, TWO_CORES), True)
        show("Two threads, times one by the wall clock", ("", "ratio", "at least", ""), rows)
        slow |= slow_too
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
