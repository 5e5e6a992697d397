#!/usr/bin/env python3
"""Accuracy at equal EBOPs: widths that training learns, one width for all layers, NSGA-II, greedy.

    ./bazelw build //mase:ch && benchmarks/compare_widths.py [--net=jsc-s] [--trials=30] [--seeds=3]

Searches of one trained net on the same rows, with the same short trainings after the same
calibration: widths that training learns (as testdata/configs/jsc_learned_widths.toml: a trial for
each weight of EBOPs), one width for all layers, and widths of each layer by NSGA-II and by greedy.
Prints the best accuracy on the sample within each budget of EBOPs, as Markdown: the median of the
seeds and in parentheses the least and the greatest of them. A seed draws the sample, the batches and
what the samplers draw; the net that all start from is the same.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WIDTHS = "[2, 3, 4, 5, 6, 8]"

COMMON = """model = "{net}"
load_name = "{root}/testdata/checkpoints/{net}.safetensors"
batch_size = 256
learning_rate = 3e-3
max_epochs = 30
[dataset]
name = "jsc-sim"
rows = 20000
[passes.quantize.linear.config]
name = "integer"
data_in_width = 8
data_in_is_signed = false
weight_width = 8
bias_width = 8
{learned}
[passes.calibrate]
method = "minmax"
[search.strategy.sw_runner.basic_evaluation]
num_samples = 4000
[search.strategy.sw_runner.basic_train]
max_epochs = {epochs}
[search.strategy.metrics]
accuracy_micro.direction = "maximize"
ebops.direction = "minimize"
"""
LEARNED = "data_in_learned_width = true\nweight_learned_width = true"
LEARNED_SPACE = """[search.search_space.settings]
ebops_weight = [0, 1e-7, 3e-7, 1e-6, 2e-6, 4e-6, 7e-6, 1e-5, 2e-5, 4e-5, 7e-5, 1e-4]
"""
UNIFORM_SPACE = """[search.search_space]
constraints = ["passes.quantize.linear.config.data_in_width == passes.quantize.linear.config.weight_width"]
[search.search_space.settings]
"passes.quantize.linear.config.data_in_width" = %s
"passes.quantize.linear.config.weight_width" = %s
""" % (WIDTHS, WIDTHS)
LAYER_SPACE = """[search.search_space]
name = "graph/quantize/mixed_precision_ptq"
setup.by = "type"
[search.search_space.seed.linear.config]
name = ["integer"]
data_in_width = %s
data_in_is_signed = [false]
weight_width = %s
bias_width = [8]
""" % (WIDTHS, WIDTHS)


# name: what joins the format, the space, the flags.
WAYS = {
    "learned": (LEARNED, LEARNED_SPACE, "--sampler=grid"),
    "uniform": ("", UNIFORM_SPACE, "--sampler=grid"),
    "nsgaii": ("", LAYER_SPACE, "--sampler=nsgaii --trials={trials}"),
    "greedy": ("", LAYER_SPACE, "--sampler=greedy"),
}


def search(name, seed, arguments, folder):
    """(ebops, accuracy) of the trials of one search."""
    learned, space, flags = WAYS[name]
    config = os.path.join(folder, name + ".toml")
    with open(config, "w") as file:
        file.write(COMMON.format(net=arguments.net, root=ROOT, learned=learned, epochs=arguments.epochs))
        file.write(space)
    out = os.path.join(folder, "%s-%d" % (name, seed))
    subprocess.run([os.path.join(ROOT, "bazel-bin/mase/ch"), "search", "--config=" + config, "--run_dir=" + out,
                    "--seed=%d" % seed, "--quiet", *flags.format(trials=arguments.trials).split()],
                   check=True, cwd=ROOT)
    with open(os.path.join(out, "log.json")) as file:
        trials = json.load(file).values()
    return [(trial["user_attrs_hardware_metrics"]["ebops"], trial["user_attrs_software_metrics"]["accuracy_micro"])
            for trial in trials if trial["state"] == "COMPLETE"]


def cell(searches, budget):
    """Of the searches of one way, a seed each."""
    best = [max((accuracy for ebops, accuracy in trials if ebops <= budget), default=None) for trials in searches]
    if None in best:
        return "-"
    text = "%.4f" % statistics.median(best)
    return text if len(best) == 1 else text + " (%.4f to %.4f)" % (min(best), max(best))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="jsc-s")
    parser.add_argument("--trials", type=int, default=30, help="of NSGA-II")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS), help="which of %s" % ", ".join(WAYS))
    arguments = parser.parse_args()
    found = {}
    for name in arguments.ways.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = [search(name, seed, arguments, folder) for seed in range(arguments.seeds)]
    ebops = [ebops for searches in found.values() for trials in searches for ebops, _ in trials]
    print("| EBOPs at most | " + " | ".join("%s (%d trainings)" % (name, len(searches[0]))
                                           for name, searches in found.items()) + " |")
    print("| --- |" + " --- |" * len(found))
    for step in range(11):
        budget = max(ebops) * (min(ebops) / max(ebops)) ** (step / 10)
        print("| {:,.0f} | ".format(budget) + " | ".join(cell(searches, budget) for searches in found.values()) + " |")


if __name__ == "__main__":
    main()
