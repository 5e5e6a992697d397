#!/usr/bin/env python3
"""Compares the pass calibrate with PyTorch's observers on real activations and weights.

    ./bazelw build //mase:transform
    python3 benchmarks/compare_calibration.py      # wants PyPI's torch

Every linear layer of the shipped jet-tagging nets: inputs on 1,000 real jets, weights and biases, as
PyTorch computes them from the checkpoint. Scales of minmax and moving_average must be those of
MinMaxObserver and MovingAverageMinMaxObserver to 1e-6, and the squared error of mse must not exceed
HistogramObserver's by more than 0.1 %. Exits with 1 otherwise.
"""
import csv
import gzip
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn
from torch.ao.quantization import HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver

ROOT = pathlib.Path(__file__).resolve().parent.parent
NETS = ("jsc-tiny", "jsc-tiny-handout", "jsc-nas", "jsc-custom", "jsc-s", "jsc-trt", "jsc-toy", "jsc-toy10x", "report-000")
BATCHES = 8
MOMENTUM = 0.25  # Of the default, 0.01, eight batches would show little.


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    types = {"F32": np.float32, "I64": np.int64}
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items() if name != "__metadata__"}


def jets():
    with gzip.open(ROOT / "testdata/jsc/jsc_openml_test1000.csv.gz", "rt") as file:
        rows = np.array([[float(v) for v in row[:-1]] for row in list(csv.reader(file))[1:]])
    with open(ROOT / "testdata/jsc/jsc_train664k_scaler.csv") as file:
        scaler = np.array([[float(v) for v in row[1:]] for row in list(csv.reader(file))[1:]])
    return ((rows - scaler[:, 0]) / scaler[:, 1]).astype(np.float32)


def calibrated(net, method, symmetric, width, folder):
    """Every operand's row of calibrate/operands.csv."""
    run = pathlib.Path(folder) / f"{net}_{method}_{symmetric}_{width}"
    config = pathlib.Path(folder) / "config.toml"
    config.write_text(f"""
model = "{net}"
load_name = "{ROOT}/testdata/checkpoints/{net}.safetensors"
dataset = "jsc"
[passes.quantize.linear.config]
name = "integer"
data_in_width = {width}
weight_width = {width}
bias_width = {width}
[passes.calibrate]
method = "{method}"
scale = "float"
symmetric = {str(symmetric).lower()}
momentum = {MOMENTUM}
batches = {BATCHES}
""")
    subprocess.run([ROOT / "bazel-bin/mase/transform", f"--config={config}", f"--run_dir={run}"],
                   check=True, capture_output=True)
    with open(run / "calibrate/operands.csv") as file:
        return list(csv.DictReader(file))


def parse(text):
    scale = float(re.search(r"scale: ([-+.\de]+)", text)[1])
    zero_point = re.search(r"zero_point: (-?\d+)", text)
    return scale, int(zero_point[1]) if zero_point else 0


def inputs_of_linears(net, x):
    """By node name: what each linear layer reads, its weight and its bias, from mase's own graph."""
    tensors = read_safetensors(ROOT / f"testdata/checkpoints/{net}.safetensors")
    with open(ROOT / f"testdata/checkpoints/{net}.safetensors", "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        graph = json.loads(file.read(size))["__metadata__"]["mase.graph"]
    found, value = {}, torch.from_numpy(x)
    for node in re.findall(r"node \{.*?\n\}", graph, re.S):
        name, op = (re.search(rf'\b{key}: "([^"]*)"', node)[1] for key in ("name", "op"))
        target = re.search(r'\btarget: "([^"]*)"', node)
        tensor = lambda local: torch.from_numpy(tensors[f"{target[1]}.{local}"].copy())
        if op == "linear":
            found[name] = {"data_in": value, "weight": tensor("weight"), "bias": tensor("bias")}
            value = nn.functional.linear(value, tensor("weight"), tensor("bias"))
        elif op == "batch_norm1d":
            value = nn.functional.batch_norm(value, tensor("running_mean"), tensor("running_var"),
                                             tensor("weight"), tensor("bias"))
        elif op in ("relu", "gelu", "tanh"):
            value = getattr(torch, op)(value)
        elif op not in ("placeholder", "dropout", "output"):
            raise SystemExit(f"{net}: op {op} is not known here")
    return found


def observed(kind, values, symmetric, width, batches, **more):
    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    observer = kind(dtype=torch.qint8, qscheme=scheme, quant_min=-(2 ** (width - 1)),
                    quant_max=2 ** (width - 1) - 1, eps=2.0 ** -126, **more)
    edges = [len(values) * i // batches for i in range(batches + 1)]
    for begin, end in zip(edges, edges[1:]):
        observer(values[begin:end])
    scale, zero_point = observer.calculate_qparams()
    return float(scale), int(zero_point)


def error(values, scale, zero_point, width):
    x = values.double().numpy().ravel()
    lo = -(2 ** (width - 1))
    codes = np.clip(np.rint(x / np.float32(scale)) + zero_point, lo, lo + 2**width - 1)
    return float(((x - (codes - zero_point) * np.float64(np.float32(scale))) ** 2).sum())


def main():
    x = jets()
    worst = {"minmax": 0.0, "moving_average": 0.0}
    zero_points, operands, losses, ratios = 0, 0, [], []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for net in NETS:
            values = inputs_of_linears(net, x)
            for symmetric in (True, False):
                for method, kind in (("minmax", MinMaxObserver), ("moving_average", MovingAverageMinMaxObserver)):
                    more = {"averaging_constant": MOMENTUM} if method == "moving_average" else {}
                    for row in calibrated(net, method, symmetric, 8, folder):
                        batches = BATCHES if row["operand"] == "data_in" else 1
                        tensor = values[row["node"]][row["operand"]]
                        want = observed(kind, tensor, symmetric, 8, batches, **more)
                        got = parse(row["calibrated"])
                        worst[method] = max(worst[method], abs(got[0] / want[0] - 1))
                        zero_points += got[1] != want[1]
                        operands += 1
                for width in (8, 6, 4):
                    for row in calibrated(net, "mse", symmetric, width, folder):
                        batches = BATCHES if row["operand"] == "data_in" else 1
                        tensor = values[row["node"]][row["operand"]]
                        theirs = error(tensor, *observed(HistogramObserver, tensor, symmetric, width, batches), width)
                        ours = error(tensor, *parse(row["calibrated"]), width)
                        ratios.append((symmetric, width, ours / theirs if theirs > 0 else 1))
                        if ours > theirs * (1 + 1e-3):
                            losses.append((net, row["node"], row["operand"], symmetric, width, ours / theirs))
    print(f"{operands} scales of {len(NETS)} nets: largest relative difference minmax {worst['minmax']:.1e}, "
          f"moving_average {worst['moving_average']:.1e}; {zero_points} zero points differ")
    for symmetric in (True, False):
        for width in (8, 6, 4):
            some = [r for s, w, r in ratios if (s, w) == (symmetric, width)]
            print(f"squared error of mse / HistogramObserver, {width} bits, "
                  f"{'symmetric' if symmetric else 'asymmetric'}: geometric mean {np.exp(np.mean(np.log(some))):.3f}, "
                  f"largest {max(some):.3f}, of {len(some)}")
    for loss in losses:
        print("worse:", *loss)
    sys.exit(max(worst.values()) > 1e-6 or bool(losses))


if __name__ == "__main__":
    main()
