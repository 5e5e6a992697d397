#!/usr/bin/env python3
"""Times inference in mase beside ONNX Runtime's, PyTorch's and oneDNN's, in one run.

    ./bazelw build //mase/predict:predictor_benchmark //mase/exec:integer_benchmark //mase/predict:libmase_predict.so
    python3 -m venv peers && peers/bin/pip install numpy onnx onnxruntime torch
    peers/bin/python benchmarks/compare_inference.py --net vgg7=vgg7.onnx --net resnet18=resnet18.onnx \\
        --hand ./hand_f32 --hand ./hand_int8

`ch export onnx` writes the files of nets for images (any weights will do); without --net those are left out.
--hand runs a program with a kernel written for the net 16-64-32-32-5 alone, and reads lines like

    int8 n=1024: 26.1 M rows/s          f32 b=1: 98.2 ns

One table for each question, each row with its aim where there is one; about five minutes. One core but for the
table of two. Figures are the least of several repetitions of the thread's own (CPU) time, so a busy machine disturbs
them less; two cores and the load of a checkpoint are the wall clock's, which wants a machine with nothing else to do.
Peers that are not installed are left out. int8 of ONNX Runtime is its static quantization (QDQ, activations uint8,
weights int8, for images per channel with norms folded); ours is integer 8/4, with the norms computed in float32 behind
the sums.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHMARK = ROOT / "bazel-bin" / "mase" / "predict" / "predictor_benchmark"
LIBRARY = ROOT / "bazel-bin" / "mase" / "predict" / "libmase_predict.so"
CHECKPOINT = ROOT / "testdata" / "checkpoints" / "jsc-tiny.safetensors"
WIDTHS = (16, 64, 32, 32, 5)
ROWS = (1, 1024, 16384)
IMAGE_BENCHMARK = ROOT / "bazel-bin" / "mase" / "exec" / "integer_benchmark"
IMAGES = (1, 64)  # Rows of 3x32x32.


def benchmark_runs(program, names, seconds, repetitions=5, threads=1):
    """What a program of Google Benchmark measured, as it tells in JSON."""
    out = subprocess.run(
        [program, f"--benchmark_filter={names}", f"--benchmark_min_time={seconds}",
         f"--benchmark_repetitions={repetitions}", "--benchmark_format=json"],
        env=dict(os.environ, OMP_NUM_THREADS=str(threads)), check=True, capture_output=True, text=True).stdout
    return [run for run in json.loads(out)["benchmarks"] if run["run_type"] == "iteration"]


def mase_figures(seconds):
    """Nanoseconds a row by way and number of rows."""
    figures = {}
    for run in benchmark_runs(BENCHMARK, "mlp", seconds):
        _, name, rows = run["name"].split("/")
        key = (f"mase {name.removeprefix('mlp_')}", int(rows))
        figures[key] = min(figures.get(key, float("inf")), run["cpu_time"] / int(rows))
    return figures


def least_time(call, rows, seconds):
    call()
    best, until = float("inf"), time.perf_counter() + seconds * 5
    repeats = max(1, 20000 // rows)
    while time.perf_counter() < until:
        start = time.process_time()
        for _ in range(repeats):
            call()
        best = min(best, (time.process_time() - start) / repeats)
    return best / rows * 1e9


def weights(numpy):
    random = numpy.random.default_rng(1)
    return [(random.uniform(-0.3, 0.3, (o, i)).astype("float32"), random.uniform(-0.3, 0.3, o).astype("float32"))
            for i, o in zip(WIDTHS, WIDTHS[1:])]


def onnx_figures(numpy, folder, seconds):
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime import quantization
    nodes, tensors, value = [], [], "x"
    for layer, (weight, bias) in enumerate(weights(numpy)):
        tensors += [numpy_helper.from_array(weight, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [f"h{layer}"], transB=1))
        value = f"h{layer}"
        if layer + 2 < len(WIDTHS):
            nodes.append(helper.make_node("Relu", [value], [f"r{layer}"]))
            value = f"r{layer}"
    graph = helper.make_graph(nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTHS[0]])],
                              [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", WIDTHS[-1]])], tensors)
    plain, int8 = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), plain)

    class Samples(quantization.CalibrationDataReader):
        batches = iter([{"x": numpy.random.default_rng(2).uniform(-1, 3, (256, WIDTHS[0])).astype("float32")}])

        def get_next(self):
            return next(self.batches, None)

    quantization.quantize_static(plain, int8, Samples(), activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    figures = {}
    for name, path in (("ONNX Runtime float", plain), ("ONNX Runtime int8", int8)):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for rows in ROWS:
            x = {"x": numpy.random.default_rng(3).uniform(-1, 3, (rows, WIDTHS[0])).astype("float32")}
            figures[name, rows] = least_time(lambda: session.run(None, x), rows, seconds)
    return figures, f"ONNX Runtime {onnxruntime.__version__}"


def least_by_name(program, names, seconds, time="cpu_time", **how):
    """Nanoseconds a call by the benchmark's name, without Google Benchmark's own words."""
    units = {"ns": 1, "us": 1e3, "ms": 1e6}
    figures = {}
    for run in benchmark_runs(program, names, seconds, **how):
        name = run["name"].removesuffix("/real_time")
        figures[name] = min(figures.get(name, float("inf")), run[time] * units[run["time_unit"]])
    return figures


def show(title, columns, rows):
    """A table: the first column to the left, the others to the right."""
    print(f"\n{title}")
    cells = [columns] + [[cell if isinstance(cell, str) else f"{cell:,.2f}" for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))


def aim(ratio, at_least):
    return f">= {at_least:g} {'met' if ratio >= at_least else 'missed'}"


def hand_figures(programs):
    """Nanoseconds a row by way and rows, of what the programs print."""
    figures = {}
    for program in programs:
        out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        for way, rows, value, unit in re.findall(
                r"(f32|int8)[^\n]*?\b[nb]=(\d+): ([\d.]+) (ns|M rows/s)", out):
            ns = float(value) / int(rows) if unit == "ns" else 1e3 / float(value)
            key = ("float" if way == "f32" else "int8", int(rows))
            figures[key] = min(figures.get(key, float("inf")), ns)
    return figures


def compare_hand(figures, hand):
    """The predictor beside kernels by hand: the share of their speed."""
    rows = []
    for (way, count), ns in sorted(hand.items()):
        ours = figures.get((f"mase {'float' if way == 'float' else 'integer'}", count))
        if ours is None:
            continue
        wanted = {("float", 1): 1 / 1.25, ("int8", 1): 1 / 1.4}.get((way, count), 0.9)
        rows.append((f"{way}, {count:,} rows", ours, ns, ns / ours, aim(ns / ours, round(wanted, 2))))
    if rows:
        show("The same net beside kernels written for it, ns a row", ("", "mase", "by hand", "share", "aim"), rows)


def compare_jets(seconds):
    """The labs' nets with their batch norms: integer against float, simulated against float."""
    figures = least_by_name(BENCHMARK, "jsc_.*", seconds, repetitions=3)
    rows = []
    for name in ("jsc_tiny", "jsc_toy", "jsc_s", "jsc_toy10x"):
        for count in (1, 16, 1024):
            plain, simulated, integer = (figures[f"Predict/{name}_{way}/{count}"] / 1e3
                                         for way in ("float", "simulated", "integer"))
            rows.append((f"{name}, {count:,} rows", plain, integer, plain / integer, aim(plain / integer, 1),
                         simulated, plain / simulated, aim(plain / simulated, 0.25)))
    show("Nets of jets with their batch norms, us a call",
         ("", "float", "integer", "times", "aim", "simulated", "times", "aim"), rows)


def compare_linear(seconds):
    """Linear layers of 1,024 rows beside oneDNN's matmul of bytes."""
    figures = least_by_name(IMAGE_BENCHMARK, "Run/linear.*/[02]/1024|LinearOfCodes|OneDnnMatmul", seconds)
    rows = []
    for n in (256, 512, 1024):
        plain, integer = (figures[f"Run/linear{n}/{way}/1024"] / 1e3 for way in (0, 2))
        codes, primitive = (figures[f"{name}/{n}/1024"] / 1e3 for name in ("LinearOfCodes", "OneDnnMatmul"))
        rows.append((f"{n}", plain, integer, plain / integer, aim(plain / integer, 3.5), codes, primitive,
                     primitive / codes, aim(primitive / codes, 0.95)))
    show("Linear layers, 1,024 rows, us",
         ("", "float", "integer", "times", "aim", "of codes", "oneDNN", "share", "aim"), rows)


def compare_cores(seconds):
    """The wall clock of two threads beside one. What two cores of this machine are worth at most, as they share its
    clock, its memory and maybe a core, is told by two programs of one thread each at once."""
    asked = ((IMAGE_BENCHMARK, "Run/(vgg7|resnet18)/[02]/64|Run/linear1024/[02]/1024"),
             (BENCHMARK, "Predict/mlp_(float|integer)/16384"))

    def measure(names, program, threads):
        return least_by_name(program, names, seconds, "real_time", repetitions=4, threads=threads)

    rows = []
    for program, names in asked:
        for name in measure(names, program, 1):
            only = f"{name}(/real_time)?$"
            one, two = (measure(only, program, threads)[name] for threads in (1, 2))
            with concurrent.futures.ThreadPoolExecutor(2) as both:
                at_once = list(both.map(lambda _: measure(only, program, 1)[name], range(2)))
            most = sum(one / time for time in at_once)
            rows.append((name, one / 1e6, two / 1e6, one / two, most, aim(one / two, 1.9)))
    show("Two cores, ms by the wall clock", ("", "one", "two", "times", "two programs", "aim"), rows)


def compare_load():
    """A new process from its start to its first prediction."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "predict"
        subprocess.run(["cc", "-O1", f"-I{ROOT / 'mase' / 'predict'}", ROOT / "examples" / "predict.c", LIBRARY,
                        f"-Wl,-rpath,{LIBRARY.parent}", "-o", program], check=True)
        row = pathlib.Path(folder) / "row.csv"
        row.write_text(",".join(["0.5"] * WIDTHS[0]) + "\n")
        files = [(os.POSIX_SPAWN_OPEN, 0, row, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
        wall = cpu = float("inf")
        for _ in range(40):
            start = time.perf_counter()
            pid = os.posix_spawn(program, [program, CHECKPOINT], os.environ, file_actions=files)
            _, status, used = os.wait4(pid, 0)
            if status != 0:
                sys.exit(f"{program} {CHECKPOINT}: ended with status {status}")
            wall = min(wall, (time.perf_counter() - start) * 1e3)
            cpu = min(cpu, (used.ru_utime + used.ru_stime) * 1e3)
    show("A new process: loads a checkpoint, predicts a row, ends; ms", ("", "wall clock", "aim", "CPU"),
         [(CHECKPOINT.name, wall, f"<= 10 {'met' if wall <= 10 else 'missed'}", cpu)])


def compare_images(name, path, folder, seconds):
    """One net at 3x32x32: milliseconds a batch, ours and ONNX Runtime's, the least of single calls."""
    import numpy
    import onnxruntime
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process
    ours = {}
    for run in benchmark_runs(IMAGE_BENCHMARK, f"Run/{name}/[02]/", seconds, repetitions=2):
        way, rows = run["name"].split("/")[2:4]
        key = ("float" if way == "0" else "int8", int(rows))
        ours[key] = min(ours.get(key, float("inf")), run["least_ms"])

    def images(rows):
        return numpy.random.default_rng(3).normal(0, 1, (rows, 3, 32, 32)).astype("float32")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def session(file):
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    x = session(path).get_inputs()[0].name

    class Samples(quantization.CalibrationDataReader):
        batches = iter([{x: images(8)}])

        def get_next(self):
            return next(self.batches, None)

    folded, int8 = folder / "folded.onnx", folder / "int8.onnx"
    quant_pre_process(path, folded, skip_symbolic_shape=True)
    quantization.quantize_static(folded, int8, Samples(), activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8, per_channel=True)
    rows_of_table = []
    for way, file in (("float", path), ("int8", int8)):
        theirs = session(file)
        for rows in IMAGES:
            batch = {x: images(rows)}
            theirs.run(None, batch)
            best, until = float("inf"), time.perf_counter() + seconds * 5
            while time.perf_counter() < until:
                start = time.process_time()
                theirs.run(None, batch)
                best = min(best, time.process_time() - start)
            ratio = best * 1e3 / ours[way, rows]
            rows_of_table.append((f"{name} {way}, {rows} rows", ours[way, rows], best * 1e3, ratio, aim(ratio, 1)))
    return rows_of_table


def torch_figures(numpy, seconds):
    import torch
    torch.set_num_threads(1)
    layers = []
    for weight, bias in weights(numpy):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        layers += [linear, torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1]).eval()
    figures = {}
    with torch.inference_mode():
        for rows in ROWS:
            x = torch.rand(rows, WIDTHS[0])
            figures["PyTorch float", rows] = least_time(lambda: net(x), rows, seconds)
    return figures, f"PyTorch {torch.__version__}"


def isa():
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "").split()
    names = (("avx512_vnni", "AVX-512 VNNI"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))
    return next((name for flag, name in names if flag in flags), "SSE2")


def compare_small_net(seconds, hand):
    figures, versions = mase_figures(seconds), []
    with tempfile.TemporaryDirectory() as folder:
        for peer in (lambda n: onnx_figures(n, pathlib.Path(folder), seconds), lambda n: torch_figures(n, seconds)):
            try:
                import numpy
                found, version = peer(numpy)
            except ImportError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            figures.update(found)
            versions.append(version)
    print(f"{isa()}, {os.cpu_count()} cores; {', '.join(versions)}")
    names = dict.fromkeys(name for name, _ in figures)
    show(f"{'-'.join(map(str, WIDTHS))}, ns a row, and how many times those of mase float",
         ("rows:", *(f"{rows:,}" for rows in ROWS), *("times" for _ in ROWS)),
         [(name, *(figures[name, rows] for rows in ROWS),
           *(figures[name, rows] / figures["mase float", rows] for rows in ROWS)) for name in names])
    compare_hand(figures, hand)
    rows = []
    for ours, theirs, wanted in (("mase float", "ONNX Runtime float", (15, 0, 0)),
                                 ("mase integer", "ONNX Runtime int8", (60, 3.3, 3.3)),
                                 ("mase integer", "mase float", (0, 1.6, 1.6))):
        for count, at_least in zip(ROWS, wanted):
            if (theirs, count) in figures and at_least:
                ratio = figures[theirs, count] / figures[ours, count]
                rows.append((f"{ours} beside {theirs}, {count:,} rows", ratio, aim(ratio, at_least)))
    show("Of these", ("", "times", "aim"), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each repetition")
    parser.add_argument("--hand", action="append", default=[], metavar="PROGRAM", help="a kernel by hand")
    parser.add_argument("--net", action="append", default=[], metavar="NAME=FILE",
                        help="a net for images; NAME is one of integer_benchmark's")
    parts = ("small", "jets", "linear", "images", "cores", "load")
    parser.add_argument("--only", action="append", choices=parts, help="some of the tables; default: all")
    arguments = parser.parse_args()
    wanted = arguments.only or parts
    begun = time.monotonic()
    if "small" in wanted:
        compare_small_net(arguments.seconds, hand_figures(arguments.hand))
    if "jets" in wanted:
        compare_jets(arguments.seconds)
    if "linear" in wanted:
        compare_linear(arguments.seconds)
    if "images" in wanted and arguments.net:
        rows = []
        for name, path in (net.split("=", 1) for net in arguments.net):
            with tempfile.TemporaryDirectory() as folder:
                rows += compare_images(name, path, pathlib.Path(folder), arguments.seconds)
        show("3x32x32 beside ONNX Runtime, ms", ("", "mase", "ONNX Runtime", "times", "aim"), rows)
    if "cores" in wanted:
        compare_cores(arguments.seconds)
    if "load" in wanted:
        compare_load()
    print(f"\n{time.monotonic() - begun:.0f} seconds")


if __name__ == "__main__":
    main()
