#!/usr/bin/env python3
"""Times training steps, evaluation and whole commands of mase beside PyTorch's, in one run.

    ./bazelw build //mase:train //mase:test //mase/train:train_benchmark
    python3 benchmarks/compare_training.py            # wants PyPI's torch
    python3 benchmarks/compare_training.py --no-images --seconds 0.5

One thread each. Steps are Adam on rows in memory, picked at random, gather included; quantized ones
simulate integer 8/4 in the linear layers (PyTorch: fake_quantize_per_tensor_affine). Figures are
million rows a second of the thread's own (CPU) time, so a busy machine disturbs them less. PyTorch's
is the best of plain, fused Adam and torch.compile (--no-compile leaves that out). Whole commands are
wall time, the best of three.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "bazel-bin" / "mase"
BATCHES = (64, 256, 1024, 4096)
JSC_ROWS = 986_806


def one_thread():
    return dict(os.environ, OMP_NUM_THREADS="1")


def mase_figures(seconds, images, bf16):
    """Google Benchmark's cpu seconds per iteration and rows, by name."""
    names = "BM_Steps/|BM_QuantizedSteps/|BM_Evaluate/" + ("|BM_StepsBf16/" if bf16 else "")
    if images:
        names += "|BM_Images/|BM_EvaluateImages/" + ("|BM_ImagesBf16/" if bf16 else "")
    out = subprocess.run(
        [BIN / "train" / "train_benchmark", f"--benchmark_filter={names}",
         f"--benchmark_min_time={seconds}", "--benchmark_format=json"],
        env=one_thread(), check=True, capture_output=True, text=True).stdout
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
    return {b["name"].removesuffix("/real_time"): b["cpu_time"] * unit[b["time_unit"]]
            for b in json.loads(out)["benchmarks"]}


def torch_net(name, nn):
    if name == "jsc_tiny":
        return nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU())
    layers, width = [], 16
    for out in (64, 32, 32):
        layers += [nn.Linear(width, out)] + ([nn.BatchNorm1d(out)] if name == "mlp_norm" else [])
        layers += [nn.ReLU()]
        width = out
    return nn.Sequential(*layers, nn.Linear(width, 5))


def quantized(torch, net):
    """The net with linear layers whose input, weight and bias are rounded to integer 8/4."""
    def q(x):
        return torch.fake_quantize_per_tensor_affine(x, 1 / 16, 0, -128, 127)

    class Linear(torch.nn.Linear):
        def forward(self, x):
            return torch.nn.functional.linear(q(x), q(self.weight), q(self.bias))

    for layer in net:
        if isinstance(layer, torch.nn.Linear):
            layer.__class__ = Linear
    return net


def vgg7(nn):
    layers, width = [], 3
    for out in (128, 256, 512):
        for _ in range(2):
            layers += [nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out, momentum=0.9), nn.ReLU()]
            width = out
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8192, 1024), nn.ReLU(),
                         nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def resnet18(torch):
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, width, out, stride):
            super().__init__()
            self.a = nn.Sequential(nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out))
            self.b = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
            same = stride == 1 and width == out
            self.c = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

        def forward(self, x):
            return torch.relu(self.b(torch.relu(self.a(x))) + self.c(x))

    layers, width = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                     nn.MaxPool2d(3, 2, 1)], 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(width, out, stride), Block(out, out, 1)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def cpu_seconds(step, seconds):
    """CPU seconds per call of step(), after a warm-up."""
    for _ in range(3):
        step()
    calls, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        step()
        calls += 1
    return (time.process_time() - begin) / calls


def torch_step(torch, net, x, y, batch, fused, compiled, seconds, bf16=False):
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=fused)
    model = torch.compile(net) if compiled else net
    order, at = torch.randperm(len(x)), 0

    def step():
        nonlocal at
        picked = order[at:at + batch]
        at = at + batch if at + 2 * batch <= len(x) else 0
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = torch.nn.functional.cross_entropy(model(x[picked]), y[picked])
        loss.backward()
        optimizer.step()

    return cpu_seconds(step, seconds)


def torch_figures(seconds, images, compile_too, bf16):
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"PyTorch {torch.__version__.split('+')[0]}, "
          f"{torch.backends.cpu.get_cpu_capability()}, one thread")
    x, figures = torch.rand(789_444, 16) * 4 - 2, {}
    y = (x @ (torch.rand(16, 5) - 0.5)).argmax(1)
    variants = [(False, False), (True, False)] + ([(True, True)] if compile_too else [])
    for name in ("mlp", "mlp_norm", "jsc_tiny"):
        for batch in BATCHES:
            figures[f"BM_Steps/{name}/{batch}"] = min(
                torch_step(torch, torch_net(name, torch.nn), x, y, batch, fused, compiled, seconds)
                for fused, compiled in variants)
            if name == "mlp_norm":
                continue
            figures[f"BM_QuantizedSteps/{name}/{batch}"] = min(
                torch_step(torch, quantized(torch, torch_net(name, torch.nn)), x, y, batch, fused,
                           compiled, seconds)
                for fused, compiled in variants)
            if bf16:
                figures[f"BM_StepsBf16/{name}/{batch}"] = min(
                    torch_step(torch, torch_net(name, torch.nn), x, y, batch, fused, compiled, seconds,
                               bf16=True)
                    for fused, compiled in variants)
    with torch.no_grad():
        for name in ("jsc_tiny", "mlp_norm"):
            net = torch_net(name, torch.nn).eval()

            def evaluate():
                for i in range(0, 166_000, 256):
                    scores = net(x[i:i + 256])
                    torch.nn.functional.cross_entropy(scores, y[i:i + 256])
                    (scores.argmax(1) == y[i:i + 256]).sum().item()

            figures[f"BM_Evaluate/{name}/256"] = cpu_seconds(evaluate, seconds)
    if images:
        x, y = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
        for name, net in (("vgg7", vgg7(torch.nn)), ("resnet18", resnet18(torch))):
            figures[f"BM_Images/{name}/64"] = torch_step(torch, net, x, y, 64, True, False, seconds)
            if bf16:
                figures[f"BM_ImagesBf16/{name}/64"] = torch_step(torch, net, x, y, 64, True, False,
                                                                 seconds, bf16=True)
            net.eval()
            with torch.no_grad():
                figures[f"BM_EvaluateImages/{name}/64"] = cpu_seconds(lambda: net(x[:64]), seconds)
    return figures


def commands():
    """Wall seconds of whole commands on as many rows as the real data set has."""
    with tempfile.TemporaryDirectory() as work:
        def best_of(count, line):
            best = float("inf")
            for i in range(count):
                begin = time.perf_counter()
                subprocess.run([str(a) for a in line] + [f"--run_dir={work}/{line[0].name}-{i}"],
                               check=True, capture_output=True, cwd=work)
                best = min(best, time.perf_counter() - begin)
            return best

        data = ["jsc-tiny", "jsc-sim", f"--set=dataset.rows={JSC_ROWS}", "--batch-size=256"]
        train = best_of(3, [BIN / "train_main", *data, "--max-epochs=1", "--learning-rate=1e-3"])
        test = best_of(3, [BIN / "test", *data, f"--load={work}/train_main-0/best.safetensors"])
        return train, test


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1, help="CPU time per figure")
    parser.add_argument("--no-images", action="store_true", help="without vgg7 and resnet18")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--bf16", action="store_true",
                        help="also operands of bfloat16, beside PyTorch's autocast")
    args = parser.parse_args()

    ours = mase_figures(args.seconds, not args.no_images, args.bf16)
    theirs = torch_figures(args.seconds, not args.no_images, not args.no_compile, args.bf16)

    print("\n| training steps, million rows/s | " + " | ".join(map(str, BATCHES)) + " |")
    print("| --- |" + " --- |" * len(BATCHES))
    names = ["Steps/mlp", "Steps/mlp_norm", "Steps/jsc_tiny", "QuantizedSteps/mlp",
             "QuantizedSteps/jsc_tiny"]
    for name in names + (["StepsBf16/mlp", "StepsBf16/jsc_tiny"] if args.bf16 else []):
        cells = []
        for batch in BATCHES:
            key = f"BM_{name}/{batch}"
            cells.append(f"{batch / ours[key] / 1e6:.2f} / {batch / theirs[key] / 1e6:.2f} "
                         f"= {theirs[key] / ours[key]:.1f}x")
        print(f"| {name}: mase / PyTorch | " + " | ".join(cells) + " |")

    print("\n| | mase | PyTorch | ratio |\n| --- | --- | --- | --- |")
    for key in ours:
        if "Steps" in key:
            continue
        print(f"| {key} | {ours[key] * 1e3:.1f} ms | {theirs[key] * 1e3:.1f} ms | "
              f"{theirs[key] / ours[key]:.2f}x |")

    train, test = commands()
    print(f"\none epoch of jsc-tiny over {JSC_ROWS * 4 // 5:,} rows at batch 256 with validation and "
          f"test, whole command: {train:.2f} s\ntest on {JSC_ROWS // 5:,} rows, whole command: {test:.3f} s")


if __name__ == "__main__":
    main()
