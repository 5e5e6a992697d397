#!/usr/bin/env python3
"""Accuracy at equal EBOPs: widths that training learns, one width for all layers, NSGA-II, greedy.

    ./bazelw build //mase:ch && benchmarks/compare_widths.py [--net=jsc-s] [--trials=30] [--seeds=3]

Searches of one trained net on the same rows, with the same short trainings after the same
calibration: widths that training learns, of tensors, channels and single weights (as
testdata/configs/jsc_learned_widths.toml: a trial for each weight of EBOPs), one width for all layers,
and widths of each layer by NSGA-II and by greedy. Prints the best accuracy within each budget of
EBOPs, as Markdown: the median of the seeds and in parentheses the least and the greatest of them. A
seed draws the batches and what the samplers draw; the net that all start from is the same.

No row that judges has chosen settings: each way first searches on simulated rows of another seed.
There the learning rates of learned widths and of one width are choices like the others, and the trials
of their fronts are those that are judged; the samplers take the rate that does best on average over
budgets. The rows that judge are held out of training, and the net that all start from has seen none.
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
learning_rate = {rate}
max_epochs = {epochs}
[dataset]
name = "jsc-sim"
rows = 25000
seed = {data}
validation_split = 0.25
[passes.quantize.linear.config]
name = "integer"
data_in_width = 8
data_in_is_signed = false
weight_width = 8
bias_width = 8
gradient = "clamp_aware"
{learned}
[passes.calibrate]
method = "minmax"
[search.strategy.sw_runner.basic_evaluation]
num_samples = 5000
[search.strategy.sw_runner.basic_train]
max_epochs = {epochs}
[search.strategy.metrics]
accuracy_micro.direction = "maximize"
ebops.direction = "minimize"
"""
LEARNED = 'data_in_learned_width = "tensor"\nweight_learned_width = "%s"'
LEARNED_SPACE = """[search.search_space.settings]
ebops_weight = [0, 1e-7, 3e-7, 1e-6, 3e-6, 5e-6, 1e-5, 4e-5, 3e-4]
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
gradient = ["clamp_aware"]
""" % (WIDTHS, WIDTHS)


# name: what joins the format, the space, the flags.
WAYS = {
    "tensor": (LEARNED % "tensor", LEARNED_SPACE, "--sampler=grid"),
    "channel": (LEARNED % "channel", LEARNED_SPACE, "--sampler=grid"),
    "weight": (LEARNED % "weight", LEARNED_SPACE, "--sampler=grid"),
    "uniform": ("", UNIFORM_SPACE, "--sampler=grid"),
    "nsgaii": ("", LAYER_SPACE, "--sampler=nsgaii --trials={trials}"),
    "greedy": ("", LAYER_SPACE, "--sampler=greedy --trials=200"),
}
JUDGING_DATA, TUNING_DATA, TUNING_SEED = 1, 2, 1000  # The shipped nets have seen the rows of 0.


def search(name, rates, seed, data, arguments):
    """(EBOPs, accuracy, settings) of the trials of one search, that tries all rates of a list."""
    learned, space, flags = WAYS[name]
    if len(rates) > 1:
        space += "learning_rate = [%s]\n" % ", ".join(rates)
    with tempfile.TemporaryDirectory() as folder:
        config, out = os.path.join(folder, "widths.toml"), os.path.join(folder, "out")
        with open(config, "w") as file:
            file.write(COMMON.format(net=arguments.net, root=ROOT, learned=learned, epochs=arguments.epochs,
                                     rate=rates[0], data=data))
            file.write(space)
        subprocess.run([os.path.join(ROOT, "bazel-bin/mase/ch"), "search", "--config=" + config, "--run_dir=" + out,
                        "--seed=%d" % seed, "--quiet", *flags.format(trials=arguments.trials).split()],
                       check=True, cwd=ROOT)
        with open(os.path.join(out, "log.json")) as file:
            trials = json.load(file).values()
    return [(trial["user_attrs_hardware_metrics"]["ebops"], trial["user_attrs_software_metrics"]["accuracy_micro"],
             json.dumps(trial["user_attrs_sampled_config"], sort_keys=True))
            for trial in trials if trial["state"] == "COMPLETE"]


def best_within(trials, budget):
    return max((accuracy for ebops, accuracy, _ in trials if ebops <= budget), default=None)


def budgets_of(searches):
    ebops = [ebops for trials in searches for ebops, _, _ in trials]
    return [max(ebops) * (min(ebops) / max(ebops)) ** (step / 10) for step in range(11)]


def front(trials):
    """The settings of those that no other is better than in both."""
    return {settings for ebops, accuracy, settings in trials
            if not any(e <= ebops and a >= accuracy and (e, a) != (ebops, accuracy) for e, a, _ in trials)}


def judged(name, arguments):
    """What was chosen of a way on other rows, in words, and its trials for each seed."""
    rates, seeds = arguments.rates.split(","), range(arguments.seeds)
    if WAYS[name][2] == "--sampler=grid":
        chosen = front(search(name, rates, TUNING_SEED, TUNING_DATA, arguments))
        found = [search(name, rates, seed, JUDGING_DATA, arguments) for seed in seeds]
        return "%d of %d trainings" % (len(chosen), len(found[0])), [
            [trial for trial in trials if trial[2] in chosen] for trials in found]
    tried = {rate: search(name, [rate], TUNING_SEED, TUNING_DATA, arguments) for rate in rates}
    budgets = budgets_of(tried.values())
    best = max(rates, key=lambda rate: sum(best_within(tried[rate], budget) or 0 for budget in budgets))
    found = [search(name, [best], seed, JUDGING_DATA, arguments) for seed in seeds]
    return "%d trainings at %s" % (len(found[0]), best), found


def cell(searches, budget):
    """Of the searches of one way, a seed each."""
    best = [best_within(trials, budget) for trials in searches]
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
    parser.add_argument("--rates", default="1e-3,1e-2", help="learning rates to choose from")
    parser.add_argument("--ways", default=",".join(WAYS), help="which of %s" % ", ".join(WAYS))
    arguments = parser.parse_args()
    found = {}
    for name in arguments.ways.split(","):
        chosen, found[name] = judged(name, arguments)
        print("%s: %s" % (name, chosen), flush=True)
    print("\n| EBOPs at most | " + " | ".join(found) + " |")
    print("| --- |" + " --- |" * len(found))
    for budget in budgets_of([trials for searches in found.values() for trials in searches]):
        print("| {:,.0f} | ".format(budget) + " | ".join(cell(searches, budget) for searches in found.values()) + " |")


if __name__ == "__main__":
    main()
