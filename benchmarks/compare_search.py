#!/usr/bin/env python3
"""Compares the samplers of mase with Optuna's: same spaces, seeds and evaluations, in one run.

    ./bazelw build //mase/sampler:ask_tell
    python3 -m venv peers && peers/bin/pip install optuna
    peers/bin/python benchmarks/compare_search.py
    peers/bin/python benchmarks/compare_search.py --seeds 5 --spaces bits --overhead 1000
    peers/bin/python benchmarks/compare_search.py --log software/search_ckpts/log.json ...

The spaces have two objectives and are small enough for a grid, of which every point is evaluated first.
Each sampler then gets half as many trials. Shown is the share of the grid's hypervolume that it
reaches, measured from the worst values of the grid: the median of the seeds, the least of them, and
the median number of trials until 99 %. Ours never tries a point twice; Optuna's do, and each of theirs
counts. --log adds spaces that `ch search` evaluated on a grid. Then the processor time that a sampler
takes to choose the next point, after so many random trials that are in its study already: 100,000 trials
that Optuna chose itself would take it days.
"""
import argparse
import itertools
import json
import math
import pathlib
import random
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bazel-bin" / "mase" / "sampler" / "ask_tell"


class Space:
    """A finite space whose points are all evaluated. Directions are "maximize" and "minimize"."""

    def __init__(self, name, sizes, evaluate, directions=("maximize", "minimize")):
        self.name, self.sizes, self.directions = name, sizes, directions
        self.values = {p: evaluate(p) for p in itertools.product(*map(range, sizes))}
        losses = [self.losses(v) for v in self.values.values()]
        self.reference = [max(column) for column in zip(*losses)]
        self.whole = hypervolume(losses, self.reference)

    def losses(self, values):
        return [-v if d == "maximize" else v for v, d in zip(values, self.directions)]

    def parameters(self):
        return [{"name": f"p{i}", "choices": n} for i, n in enumerate(self.sizes)]


def hypervolume(losses, reference):
    """Of two losses."""
    volume, ceiling = 0.0, reference[1]
    for x, y in sorted(map(tuple, losses)):
        if y < ceiling:
            volume += max(0.0, reference[0] - x) * (ceiling - y)
            ceiling = y
    return volume


def bits_space(name, layers, widths, seed):
    """A net whose accuracy falls with the bits of its layers, some of them together, beside its size."""
    draw = random.Random(seed)
    sensitivity = [10 ** draw.uniform(-1.5, 0.5) for _ in range(layers)]
    pairs = {(i, i + 1): 10 ** draw.uniform(-1.5, 0.3) for i in range(layers - 1)}
    weights = [draw.choice([64, 256, 1024, 2048]) for _ in range(layers)]

    def evaluate(point):
        noise = [2.0 ** -widths[c] for c in point]
        error = sum(s * e for s, e in zip(sensitivity, noise))
        error += sum(s * math.sqrt(noise[i] * noise[j]) for (i, j), s in pairs.items())
        average = sum(w * widths[c] for w, c in zip(weights, point)) / sum(weights)
        return 0.76 * math.exp(-error), average

    return Space(name, [len(widths)] * layers, evaluate)


def logged_space(path):
    """A grid that `ch search` evaluated: its log.json."""
    rows = json.loads(pathlib.Path(path).read_text()).values()
    flat = [dict(flatten(row["user_attrs_sampled_config"])) for row in rows]
    names = sorted({name for row in flat for name in row if len({str(r.get(name)) for r in flat}) > 1})
    choices = {name: sorted({json.dumps(r.get(name)) for r in flat}) for name in names}
    table = {tuple(choices[n].index(json.dumps(r.get(n))) for n in names): (row["values_0"], row["values_1"])
             for r, row in zip(flat, rows)}
    return Space(pathlib.Path(path).parent.name, [len(choices[n]) for n in names], table.__getitem__)


def flatten(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value


class Ours:
    """mase's sampler at the other end of two pipes."""

    def __init__(self, parameters, directions, sampler, seed, settings="", prefill=0):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self.say({"sampler": sampler, "seed": seed, "directions": directions, "parameters": parameters,
                              "settings": settings, "prefill": prefill})

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self):
        return tuple(map(int, self.said["point"])) if "point" in self.said else None

    def tell(self, values):
        self.said = self.say({"values": values})

    def end(self):
        """The seconds that it spent, the first point aside."""
        said = self.say({"end": True})
        self.process.communicate()
        return said["seconds"] - said["first"]


class Optunas:
    def __init__(self, parameters, directions, sampler, seed, settings="", prefill=0):
        import optuna
        import warnings
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        make = {"tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate="multivariate" in settings),
                "nsgaii": lambda: optuna.samplers.NSGAIISampler(seed=seed)}[sampler]
        self.study = optuna.create_study(directions=directions, sampler=make())
        self.sizes = {p["name"]: p["choices"] for p in parameters}
        if prefill:
            draw = random.Random(seed)
            space = {n: optuna.distributions.CategoricalDistribution(list(range(c))) for n, c in self.sizes.items()}
            self.study.add_trials([
                optuna.trial.create_trial(params={n: draw.randrange(c) for n, c in self.sizes.items()},
                                          distributions=space, values=[draw.random() for _ in directions])
                for _ in range(prefill)])
        self.seconds = 0.0

    def ask(self):
        begin = time.process_time()
        self.trial = self.study.ask()
        point = tuple(self.trial.suggest_categorical(n, list(range(c))) for n, c in self.sizes.items())
        self.seconds += time.process_time() - begin
        return point

    def tell(self, values):
        self.study.tell(self.trial, values)

    def end(self):
        return self.seconds


def share_reached(space, peer, seed, sampler, settings, trials):
    """The share of the grid's hypervolume after `trials`, and the trials until 99 %; None: never."""
    asker = peer(space.parameters(), list(space.directions), sampler, seed, settings)
    front, until = [], None
    for number in range(trials):
        point = asker.ask()
        if point is None:
            break
        values = space.values[point]
        asker.tell(list(values))
        loss = tuple(space.losses(values))
        if any(a <= loss[0] and b <= loss[1] for a, b in front):
            continue
        front = [(a, b) for a, b in front if not (loss[0] <= a and loss[1] <= b)] + [loss]
        if until is None and hypervolume(front, space.reference) >= 0.99 * space.whole:
            until = number + 1
    asker.end()
    return hypervolume(front, space.reference) / space.whole, until


def compare_fronts(spaces, seeds):
    print(f"{'space':<12} {'sampler':<18} {'of':<7} {'median':>8} {'least':>8} {'until 99 %':>11}  ({seeds} seeds)")
    for space in spaces:
        points = len(space.values)
        for sampler, settings in (("tpe", ""), ("tpe", "multivariate: true"), ("nsgaii", "")):
            for peer, label in ((Ours, "mase"), (Optunas, "Optuna")):
                reached = [share_reached(space, peer, seed, sampler, settings, points // 2) for seed in range(seeds)]
                shares = [share for share, _ in reached]
                until = statistics.median([u if u is not None else math.inf for _, u in reached])
                name = sampler + (" joint" if settings else "")
                print(f"{space.name:<12} {name:<18} {label:<7} {statistics.median(shares):8.2%} {min(shares):8.2%} "
                      f"{until:11.0f}  of {points // 2} trials", flush=True)


def compare_overhead(counts):
    parameters = [{"name": f"p{i}", "choices": 4} for i in range(12)]
    print("\nmilliseconds to choose the next point, 12 parameters of 4 choices, two objectives; least of 10, or of 2 after 100,000 (Optuna), mean of 10 (mase)")
    print(f"{'after trials':<14} {'sampler':<18} {'mase':>9} {'Optuna':>9}")
    for count in counts:
        for sampler, settings in (("tpe", ""), ("tpe", "multivariate: true"), ("nsgaii", "")):
            best = []
            for peer in (Ours, Optunas):
                asker = peer(parameters, ["maximize", "minimize"], sampler, 0, settings, prefill=count)
                draw, times = random.Random(1), []
                for _ in range(10 if peer is Ours or count < 100000 else 2):
                    if peer is Optunas:
                        before = asker.seconds
                        asker.ask()
                        times.append(asker.seconds - before)
                        asker.tell([draw.random(), draw.random()])
                    else:
                        asker.tell([draw.random(), draw.random()])
                if peer is Ours:
                    times = [asker.end() / 10]
                best.append(min(times) * 1e3)
            name = sampler + (" joint" if settings else "")
            print(f"{count:<14} {name:<18} {best[0]:9.3f} {best[1]:9.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--spaces", default="bits4,bits5,bits6")
    parser.add_argument("--log", nargs="*", default=[], help="log.json of grids that ch search evaluated")
    parser.add_argument("--overhead", type=int, nargs="*", default=[1000, 10000, 100000])
    options = parser.parse_args()
    known = {"bits4": lambda: bits_space("bits4", 4, (2, 3, 4, 6, 8), 1),
             "bits5": lambda: bits_space("bits5", 5, (2, 4, 6, 8), 2),
             "bits6": lambda: bits_space("bits6", 6, (2, 4, 8), 3)}
    spaces = [known[name]() for name in options.spaces.split(",") if name] + [logged_space(p) for p in options.log]
    compare_fronts(spaces, options.seeds)
    if options.overhead:
        compare_overhead(options.overhead)


if __name__ == "__main__":
    main()
