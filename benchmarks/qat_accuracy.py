#!/usr/bin/env python3
"""Accuracy of nets in low precision: rounded only (PTQ), and trained so (QAT). Prints the table of
docs/training.md.

    ./bazelw build //mase:train
    python3 benchmarks/qat_accuracy.py                # minutes
    python3 benchmarks/qat_accuracy.py --nets jsc-tiny --epochs 3

All linear layers are quantized, and everything is measured on the test rows of jsc-sim. "QAT" starts
from the shipped checkpoint; "clamp-aware" is the same with gradient = "clamp_aware"; "from scratch"
starts from initial weights, clamp-aware too, and trains as long as the float checkpoints did.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def operands(name, data, parameters):
    """A rule with these parameters for weight and bias; `data` differs for data_in."""
    lines = [f'name = "{name}"']
    for operand, own in (("data_in", {**parameters, **data}), ("weight", parameters),
                         ("bias", parameters)):
        lines += [f"{operand}_{key} = {value}" for key, value in own.items()]
    return "\n".join(lines) + "\n"


# Weights of these nets are mostly below 0.5, activations below 4.
FORMATS = {
    "integer, 4 bits": operands("integer", {"frac_width": 2}, {"width": 4, "frac_width": 3}),
    "minifloat_ieee, 4 bits": operands(
        "minifloat_ieee", {"exponent_bias": 1},
        {"width": 4, "exponent_width": 2, "exponent_bias": 3}),
    "log, 4 bits": operands("log", {}, {"width": 4, "exponent_bias": 5}),
    "block_fp, 3 bits, blocks of 16": operands(
        "block_fp", {}, {"width": 3, "exponent_width": 8, "block_size": [16]}),
    "mxint, 3 bits, blocks of 16": operands("mxint", {}, {"width": 3, "block_size": 16}),
    "ternary weights, scaled": 'name = "ternary"\nweight_scaling_factor = true\n',
    "binary weights, -1 and 1": 'name = "binary"\nweight_bipolar = true\nweight_stochastic = false\n',
}


# Steps found from data, and learned from there by lsq.
CALIBRATED = '[passes.calibrate]\nmethod = "mse"\nscale = "float"\n'
for bits in (4, 2):
    FORMATS[f"lsq, {2**bits} codes, calibrated"] = operands(
        "lsq", {"sym": "false"}, {"level": 2**bits, "sym": "true"}) + CALIBRATED
    FORMATS[f"integer, {bits} bits, calibrated"] = operands(
        "integer", {"is_signed": "false"}, {"width": bits}) + CALIBRATED


def train(work, name, net, rule, flags):
    """One run; accuracies by stage."""
    config = work / f"{name}.toml"
    config.write_text(f"[passes.quantize.linear.config]\n{rule}")
    command = [ROOT / "bazel-bin/mase/train_main", net, "jsc-sim", f"--config={config}",
               f"--run_dir={work / name}", "--batch-size=256", "--learning-rate=1e-3", *flags]
    subprocess.run(command, check=True, capture_output=True, cwd=work,
                   env=dict(os.environ, OMP_NUM_THREADS="1"))
    metrics = json.loads((work / name / "summary.json").read_text())["metrics"]
    return {m["stage"]: m["value"] for m in metrics if m["name"] == "accuracy"}


def row(work, index, net, rule, epochs):
    def run(name, gradient, flags):
        return train(work, f"{net}-{index}-{name}", net, f'gradient = "{gradient}"\n{rule}', flags)

    start = [f"--load={ROOT}/testdata/checkpoints/{net}.safetensors", f"--max-epochs={epochs}"]
    through = run("through", "straight_through", start)
    aware = run("aware", "clamp_aware", start)
    scratch = run("scratch", "clamp_aware", [f"--max-epochs={3 * epochs}"])
    return [through["original"], through["transformed"], through["best"], aware["best"],
            scratch["best"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nets", default="jsc-tiny,jsc-toy10x")
    parser.add_argument("--formats", default="", help="only those whose name holds this")
    parser.add_argument("--epochs", type=int, default=10, help="of QAT; three times as many from scratch")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        print("| net | linear layers in | float | PTQ | QAT | QAT, clamp-aware | from scratch |\n"
              "| --- | --- | --- | --- | --- | --- | --- |")
        rows = [(net, name, pool.submit(row, pathlib.Path(folder), i, net, rule, args.epochs))
                for net in args.nets.split(",") for i, (name, rule) in enumerate(FORMATS.items())
                if args.formats in name]
        for net, name, future in rows:
            figures = " | ".join(f"{accuracy:.3f}" for accuracy in future.result())
            print(f"| {net} | {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
