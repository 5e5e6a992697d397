#!/usr/bin/env python3
"""Quantize-dequantize speed and bits against Python peers, in one run.

    pip install numpy torch ml_dtypes         # peers, for this script alone; all are optional
    ./bazelw build //mase/format:format_benchmark //mase:formats
    python3 benchmarks/compare_formats.py

Speed: giga-elements a second on one core for 1k, 256k and 64M elements, and the ratio to the
peer. Bits: random float32 patterns through `formats quantize` and through the peer's own float8,
bfloat16 and float16 casts, which must agree wherever the value is in range.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIZES = (1 << 10, 1 << 18, 1 << 26)


def ours():
    """{format: {elements: elements per second}} on the best instruction set."""
    binary = os.path.join(ROOT, "bazel-bin/mase/format/format_benchmark")
    text = subprocess.run([binary, "--benchmark_format=json", "--benchmark_min_time=0.2"], check=True,
                          capture_output=True, text=True).stdout
    speeds = {}
    for row in json.loads(text)["benchmarks"]:
        if "items_per_second" in row:
            name, _, size = row["name"].rsplit("/", 2)
            best = speeds.setdefault(name, {})
            best[int(size)] = max(best.get(int(size), 0), row["items_per_second"])
    return speeds


def rate(fn, x):
    fn(x)
    seconds, calls = 0.0, 0
    start = time.perf_counter()
    while seconds < 0.3:
        fn(x)
        calls += 1
        seconds = time.perf_counter() - start
    return x.size * calls / seconds if isinstance(x, np.ndarray) else x.numel() * calls / seconds


def peers():
    """[(our format, peer's name, fn, make tensor)] of what is installed."""
    found = []
    try:
        import torch
        torch.set_num_threads(1)
        tensor = lambda x: torch.from_numpy(x)
        found.append(("integer { width: 8 frac_width: 4 }", "torch.fake_quantize",
                      lambda x: torch.fake_quantize_per_tensor_affine(x, 0.0625, 0, -128, 127), tensor))
        found.append(("mx { element_format: 'bfloat16' }", "torch.bfloat16",
                      lambda x: x.to(torch.bfloat16).to(torch.float32), tensor))
        if hasattr(torch, "float8_e4m3fn"):
            found.append(("mx { element_format: 'fp8_e4m3' }", "torch.float8_e4m3fn",
                          lambda x: x.to(torch.float8_e4m3fn).to(torch.float32), tensor))
    except ImportError:
        print("without torch", file=sys.stderr)
    try:
        import ml_dtypes
        for ours_, theirs in (("fp8_e4m3", "float8_e4m3fn"), ("fp8_e5m2", "float8_e5m2"), ("bfloat16", "bfloat16")):
            dtype = getattr(ml_dtypes, theirs)
            found.append((f"mx {{ element_format: '{ours_}' }}", f"ml_dtypes.{theirs}",
                          lambda x, d=dtype: x.astype(d).astype(np.float32), lambda x: x))
    except ImportError:
        print("without ml_dtypes", file=sys.stderr)
    return found


def quantize(text, x):
    with tempfile.TemporaryDirectory() as folder:
        np.save(folder + "/x.npy", x)
        subprocess.run([os.path.join(ROOT, "bazel-bin/mase/formats"), "quantize", "--format=" + text,
                        f"--in={folder}/x.npy", f"--out={folder}/y.npy"], check=True)
        return np.load(folder + "/y.npy")


def main():
    found = peers()
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 1 << 32, 1 << 20, dtype=np.uint64).astype(np.uint32).view(np.float32)
    bits = np.where(np.isfinite(bits), bits, np.float32(0))
    print("values that differ, of", bits.size, "random ones within the range of the format")
    for text, name, fn, make in found:
        y, peer = quantize(text, bits), np.asarray(fn(make(bits.copy())))
        in_range = np.isfinite(peer) & (np.abs(bits) < np.abs(y).max())
        differ = np.count_nonzero((y[in_range] != peer[in_range]))
        print(f"  {text:44} {name:26} {differ}")
    speeds = ours()
    print("\ngiga-elements a second, one core (peer; ratio)")
    for text, sizes in speeds.items():
        print(f"  {text:88} " + "  ".join(f"{sizes[s] / 1e9:6.3f}" if s in sizes else "     -" for s in SIZES))
    for text, name, fn, make in found:
        cells = []
        for size in SIZES:
            peer = rate(fn, make(rng.standard_normal(size).astype(np.float32)))
            mine = speeds.get(text, {}).get(size)
            cells.append(f"{peer / 1e9:6.3f} x{mine / peer:5.1f}" if mine else f"{peer / 1e9:6.3f}      -")
        print(f"  {name:88} " + "  ".join(cells))


if __name__ == "__main__":
    main()
