#!/usr/bin/env python3
"""Times inference of the net 16-64-32-32-5 in mase beside ONNX Runtime's and PyTorch's, in one run.

    ./bazelw build //mase/predict:predictor_benchmark
    python3 -m venv peers && peers/bin/pip install numpy onnx onnxruntime torch
    peers/bin/python benchmarks/compare_inference.py
    peers/bin/python benchmarks/compare_inference.py --hand ./hand_kernel --seconds 0.5

and of nets for images, of which `ch export onnx` has written the files (any weights will do):

    ./bazelw build //mase/exec:integer_benchmark
    peers/bin/python benchmarks/compare_inference.py --net vgg7=vgg7.onnx --net resnet18=resnet18.onnx

One core each. Figures are nanoseconds a row, the least of several repetitions of the thread's own
(CPU) time, so a busy machine disturbs them less. Peers that are not installed are left out. int8 of
ONNX Runtime is its static quantization (QDQ, activations uint8, weights int8, for images per
channel with norms folded); ours is integer 8/4, with the norms computed in float32 behind the sums.
--hand runs a program with a kernel written for this net alone and shows what it prints.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHMARK = ROOT / "bazel-bin" / "mase" / "predict" / "predictor_benchmark"
WIDTHS = (16, 64, 32, 32, 5)
ROWS = (1, 1024, 16384)
IMAGE_BENCHMARK = ROOT / "bazel-bin" / "mase" / "exec" / "integer_benchmark"
IMAGES = (1, 64)  # Rows of 3x32x32.


def benchmark_runs(program, names, seconds):
    """What a program of Google Benchmark measured, as it tells in JSON."""
    out = subprocess.run(
        [program, f"--benchmark_filter={names}", f"--benchmark_min_time={seconds}", "--benchmark_repetitions=5",
         "--benchmark_format=json"],
        env=dict(os.environ, OMP_NUM_THREADS="1"), check=True, capture_output=True, text=True).stdout
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


def compare_images(name, path, folder, seconds):
    """One net at 3x32x32: milliseconds a batch, ours and ONNX Runtime's, the least of single calls."""
    import numpy
    import onnxruntime
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process
    ours = {}
    for run in benchmark_runs(IMAGE_BENCHMARK, f"Run/{name}/[02]/", seconds):
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
            print(f"{name:<10}{way:<7}{rows:>4} {ours[way, rows]:>10.2f} {best * 1e3:>14.2f} "
                  f"{best * 1e3 / ours[way, rows]:>8.2f}")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each of five repetitions")
    parser.add_argument("--hand", action="append", default=[], help="a program to run as it is")
    parser.add_argument("--net", action="append", default=[], metavar="NAME=FILE",
                        help="compare this net for images instead; NAME is one of integer_benchmark's")
    arguments = parser.parse_args()
    if arguments.net:
        print(f"3x32x32, {isa()}, 1 of {os.cpu_count()} cores")
        print(f"{'net':<10}{'way':<7}{'rows':>4} {'mase ms':>10} {'ONNX Runtime':>14} {'times':>8}")
        for name, path in (net.split("=", 1) for net in arguments.net):
            with tempfile.TemporaryDirectory() as folder:
                compare_images(name, path, pathlib.Path(folder), arguments.seconds)
        return
    figures, versions = mase_figures(arguments.seconds), []
    with tempfile.TemporaryDirectory() as folder:
        for peer in (lambda n: onnx_figures(n, pathlib.Path(folder), arguments.seconds),
                     lambda n: torch_figures(n, arguments.seconds)):
            try:
                import numpy
                found, version = peer(numpy)
            except ImportError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            figures.update(found)
            versions.append(version)
    print(f"{'-'.join(map(str, WIDTHS))}, {isa()}, 1 of {os.cpu_count()} cores; {', '.join(versions)}")
    print(f"{'ns a row, rows:':<20}" + "".join(f"{rows:>10,}" for rows in ROWS) + "   times mase float")
    for name in dict.fromkeys(name for name, _ in figures):
        row = [figures[name, rows] for rows in ROWS]
        ratios = [figures[name, rows] / figures["mase float", rows] for rows in ROWS]
        print(f"{name:<20}" + "".join(f"{ns:>10.1f}" for ns in row) + "  " + "".join(f"{r:>8.2f}" for r in ratios))
    for program in arguments.hand:
        print(f"{program}:")
        print(subprocess.run([program], check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
