#!/usr/bin/env python3
"""Quantize-dequantize speed and bits against Python peers, in one run of about a minute.

    pip install numpy torch ml_dtypes torchao         # peers, for this script alone; all but numpy are optional
    ./bazelw build //mase/format:format_benchmark //mase:formats
    python3 benchmarks/compare_formats.py

Bits: random float32 patterns through `formats quantize` and through the peer's own float8, bfloat16 and MX
casts, which must agree wherever the value is in range. Speed: giga-elements a second on one core for 1k, 256k
and 64M elements, ours, the peer's and the ratio.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIZES = (1 << 10, 1 << 18, 1 << 26)
SECONDS = 0.2  # Of a measurement.


def ours(formats):
    """{format: {elements: elements per second}} on the best instruction set."""
    binary = os.path.join(ROOT, "bazel-bin/mase/format/format_benchmark")
    pattern = "|".join(re.sub(r"[^\w :']", ".", text) for text in formats)
    text = subprocess.run([binary, "--benchmark_format=json", f"--benchmark_min_time={SECONDS}",
                           f"--benchmark_filter=^({pattern})/"], check=True, capture_output=True, text=True).stdout
    speeds = {}
    for row in json.loads(text)["benchmarks"]:
        if "items_per_second" in row:
            name, _, size = row["name"].rsplit("/", 2)
            best = speeds.setdefault(name, {})
            best[int(size)] = max(best.get(int(size), 0), row["items_per_second"])
    return speeds


def rate(fn, x, elements):
    fn(x)
    seconds, calls = 0.0, 0
    start = time.perf_counter()
    while seconds < SECONDS:
        fn(x)
        calls += 1
        seconds = time.perf_counter() - start
    return elements * calls / seconds


class Peer:
    """One format of another package: `fn` quantizes and dequantizes what `make` makes of a numpy array."""

    def __init__(self, ours, name, fn, make=lambda x: x, block=0, slow=False):
        self.ours, self.name, self.fn, self.make, self.block, self.slow = ours, name, fn, make, block, slow


def torch_peers():
    import torch
    torch.set_num_threads(1)
    tensor = torch.from_numpy
    cast = lambda dtype: lambda x: x.to(dtype).to(torch.float32)
    peers = [Peer("integer { width: 8 frac_width: 4 }", "torch.fake_quantize",
                  lambda x: torch.fake_quantize_per_tensor_affine(x, 0.0625, 0, -128, 127), tensor),
             Peer("mx { element_format: 'bfloat16' }", "torch.bfloat16", cast(torch.bfloat16), tensor)]
    for ours, theirs in (("fp8_e4m3", "float8_e4m3fn"), ("fp8_e5m2", "float8_e5m2")):
        peers.append(Peer(f"mx {{ element_format: '{ours}' }}", f"torch.{theirs}", cast(getattr(torch, theirs)), tensor))
    return peers


def torchao_peers():
    import torch
    from torchao.prototype.mx_formats.mx_tensor import MXTensor
    peers = []
    for exponent, fraction, dtype in ((4, 3, torch.float8_e4m3fn), (5, 2, torch.float8_e5m2)):
        peers.append(Peer(f"mxfp {{ block_size: 32 element_exp_bits: {exponent} element_frac_bits: {fraction} }}",
                          f"torchao MX {dtype}",
                          lambda x, d=dtype: MXTensor.to_mx(x, d, block_size=32).dequantize(torch.float32),
                          lambda x: torch.from_numpy(x.reshape(-1, 32)), block=32, slow=True))
    return peers


def ml_dtypes_peers():
    import ml_dtypes
    peers = []
    for ours, theirs in (("fp8_e4m3", "float8_e4m3fn"), ("fp8_e5m2", "float8_e5m2"), ("fp6_e2m3", "float6_e2m3fn"),
                         ("fp6_e3m2", "float6_e3m2fn"), ("fp4_e2m1", "float4_e2m1fn"), ("bfloat16", "bfloat16")):
        dtype = getattr(ml_dtypes, theirs)
        peers.append(Peer(f"mx {{ element_format: '{ours}' }}", f"ml_dtypes.{theirs}",
                          lambda x, d=dtype: x.astype(d).astype(np.float32), slow=True))
    return peers


def find_peers():
    peers = []
    for package, find in (("torch", torch_peers), ("torchao", torchao_peers), ("ml_dtypes", ml_dtypes_peers)):
        try:
            peers += find()
        except ImportError as error:
            print(f"without {package}: {error}", file=sys.stderr)
    return peers


def quantize(text, x):
    with tempfile.TemporaryDirectory() as folder:
        np.save(folder + "/x.npy", x)
        subprocess.run([os.path.join(ROOT, "bazel-bin/mase/formats"), "quantize", "--format=" + text,
                        f"--in={folder}/x.npy", f"--out={folder}/y.npy"], check=True)
        return np.load(folder + "/y.npy")


def compare_bits(peers, rng):
    bits = rng.integers(0, 1 << 32, 1 << 20, dtype=np.uint64).astype(np.uint32).view(np.float32)
    bits = np.where(np.isfinite(bits), bits, np.float32(0))
    # A block's numbers are near each other, the blocks are not.
    blocks = (rng.standard_normal((1 << 15, 32)) * 2.0 ** rng.integers(-60, 60, (1 << 15, 1))).astype(np.float32)
    print("values that differ, of", bits.size, "random ones (MX: blocks of normal numbers) in the format's range")
    for peer in peers:
        x = blocks if peer.block else bits
        y = quantize(peer.ours, x).reshape(-1)
        theirs = np.asarray(peer.fn(peer.make(x.copy()))).reshape(-1)
        in_range = np.isfinite(theirs)
        if not peer.block:
            in_range &= np.abs(x) < np.abs(y).max()
        print(f"  {peer.ours:64} {peer.name:32} {np.count_nonzero(y[in_range] != theirs[in_range])}")


def compare_speed(peers, rng):
    extra = ("minifloat_ieee { width: 8 exponent_width: 4 }", "log { width: 8 }",
             "block_fp { width: 8 block_size: 16 skip_first_dim: false }")
    speeds = ours(list(dict.fromkeys(peer.ours for peer in peers)) + list(extra))
    print("\ngiga-elements a second, one core; 1k, 256k, 64M elements")
    for text, sizes in speeds.items():
        print(f"  {text:64} " + "  ".join(f"{sizes[s] / 1e9:7.3f}" if s in sizes else "      -" for s in SIZES))
    print("peers, and how many times as fast we are")
    for peer in peers:
        cells = []
        for size in SIZES:
            if peer.slow and size > SIZES[1]:
                cells.append("      -       ")
                continue
            theirs = rate(peer.fn, peer.make(rng.standard_normal(size, dtype=np.float32)), size)
            mine = speeds.get(peer.ours, {}).get(size)
            cells.append(f"{theirs / 1e9:7.3f} {f'x{mine / theirs:5.1f}' if mine else '      '}")
        print(f"  {peer.name:64} " + "  ".join(cells))


def main():
    peers = find_peers()
    rng = np.random.default_rng(1)
    compare_bits(peers, rng)
    compare_speed(peers, rng)


if __name__ == "__main__":
    main()
