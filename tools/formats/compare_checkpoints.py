#!/usr/bin/env python3
"""Accuracy against number format of all trained nets in testdata/checkpoints: docs/accuracy_by_format.md and its plots.

    ./bazelw build //mase:transform
    python3 tools/formats/compare_checkpoints.py docs

Runs the pass compare_formats on each net (1,000 real jets) and joins its tables. Python's own library is enough.
"""
import csv
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
NETS = ("jsc-tiny", "jsc-tiny-handout", "jsc-nas", "jsc-custom", "jsc-s", "jsc-trt", "jsc-toy", "jsc-toy10x",
        "report-000")
PLOTTED = ("jsc-tiny", "jsc-toy10x")

HEAD = """# Accuracy against number format

The trained jet-tagging nets of `testdata/checkpoints` on 1,000 **real** jets, every linear layer's inputs, weights
and bias in one format, nothing retrained. One net, with loss, signal-to-noise ratio, bits and a plot:

    ./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_formats.toml

Any other net, a list of one's own, MASE's own arithmetic:

    ./bazelw run //mase:transform -- jsc-toy jsc --config=testdata/configs/jsc_tiny_formats.toml --load=testdata/checkpoints/jsc-toy.safetensors --set 'passes.compare_formats.formats=["integer 8", "integer 8/4", "mxfp6_e2m3"]'
    ./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_formats.toml --set passes.compare_formats.semantics=reference

What sets a format's range and is left open (the point of `integer 8`, the bias of `minifloat_ieee 8/4`, the
scale of `affine 8`) follows each tensor: the finest at which its largest magnitude on the samples still fits, to half a step.
`integer 8/4` is 4 fraction bits everywhere. The pass `calibrate` chooses better where few bits are left, training
with passes ([training.md](training.md)) repairs more. A thousand rows tell accuracies apart that differ by more than
about 0.03.
"""


def measure(net, folder):
    """{format: row of formats.csv}; the plot stays in the folder."""
    out = os.path.join(folder, net)
    subprocess.run([os.path.join(ROOT, "bazel-bin/mase/transform"), net, "jsc",
                    "--config=" + os.path.join(ROOT, "testdata/configs/jsc_tiny_formats.toml"),
                    "--load=" + os.path.join(ROOT, f"testdata/checkpoints/{net}.safetensors"),
                    "--run_dir=" + out], check=True, capture_output=True)
    with open(os.path.join(out, "compare_formats/formats.csv"), newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def main():
    docs = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        nets = {net: measure(net, folder) for net in NETS}
        for net in PLOTTED:
            shutil.copyfile(os.path.join(folder, net, "compare_formats/formats.svg"),
                            os.path.join(docs, f"accuracy_by_format_{net}.svg"))
    lines = [HEAD]
    lines += [f"![{net}](accuracy_by_format_{net}.svg)\n" for net in PLOTTED]
    lines.append("Correct of 1,000; bits are those of a weight and of an input value in jsc-tiny, block codes and"
                 " scales included. `tools/formats/compare_checkpoints.py` makes this page.\n")
    lines.append("| format | bits | " + " | ".join(NETS) + " |")
    lines.append("| --- | --- |" + " --- |" * len(NETS))
    for name, row in nets[NETS[0]].items():
        weight, activation = f'{float(row["bits_weight"]):.6g}', f'{float(row["bits_activation"]):.6g}'
        bits = weight if weight == activation else f"{weight}; {activation}"
        cells = [nets[net][name]["correct"] if name in nets[net] else "" for net in NETS]
        lines.append(f"| {name} | {bits} | " + " | ".join(cells) + " |")
    with open(os.path.join(docs, "accuracy_by_format.md"), "w") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
