#!/usr/bin/env python3
"""Times a quantized net in mase beside Brevitas, its training and its inference, in one run.

    ./bazelw build //mase/train:train_benchmark //mase/predict:predictor_benchmark
    python3 -m venv peers && peers/bin/pip install numpy torch brevitas
    peers/bin/python benchmarks/compare_brevitas.py --seconds 0.5

The net is 16-64-32-32-5 with ReLUs; input, weight and bias of its linear layers are rounded to 8 bits,
in Brevitas with its own default quantizers (Int8WeightPerTensorFloat, Int8ActPerTensorFloat), in mase
to integer 8/4. Brevitas simulates integers in float32 in inference, too; mase does that (simulated) and
computes on the codes (integer). One core each, CPU time.
"""
import argparse

import compare_inference
import compare_training

ROWS = (1, 1024)
BATCH = 256


def brevitas_net():
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat

    layers, width = [], 16
    for out in (64, 32, 32, 5):
        layers += [qnn.QuantLinear(width, out, bias=True, input_quant=Int8ActPerTensorFloat,
                                   weight_quant=Int8WeightPerTensorFloat),
                   torch.nn.ReLU()]
        width = out
    return torch.nn.Sequential(*layers[:-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1, help="CPU time per figure")
    args = parser.parse_args()

    import brevitas
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"Brevitas {brevitas.__version__}, PyTorch {torch.__version__.split('+')[0]}, "
          f"{torch.backends.cpu.get_cpu_capability()}, one thread")

    x = torch.rand(100_000, 16) * 4 - 2
    y = (x @ (torch.rand(16, 5) - 0.5)).argmax(1)
    ours = compare_training.mase_figures(args.seconds, images=False, bf16=False)
    mine = ours[f"BM_QuantizedSteps/mlp/{BATCH}"]
    theirs = min(compare_training.torch_step(torch, brevitas_net(), x, y, BATCH, fused, False, args.seconds)
                 for fused in (False, True))
    print(f"\ntraining at batch {BATCH}, million rows/s: mase {BATCH / mine / 1e6:.2f}, "
          f"Brevitas {BATCH / theirs / 1e6:.3f}, {theirs / mine:.0f} times")

    mase = compare_inference.mase_figures(args.seconds)
    net = brevitas_net()
    net.train()
    with torch.no_grad():
        for i in range(50):  # Its scales follow the data at first.
            net(x[i * 1000:(i + 1) * 1000])
    net.eval()
    print("\n| ns a row | " + " | ".join(map(str, ROWS)) + " |\n| --- |" + " --- |" * len(ROWS))
    for name in sorted({name for name, _ in mase}):
        print(f"| {name} | " + " | ".join(f"{mase[name, rows]:.1f}" for rows in ROWS) + " |")
    with torch.no_grad():
        cells = [compare_training.cpu_seconds(lambda: net(x[:rows]), args.seconds) / rows * 1e9 for rows in ROWS]
    print("| Brevitas | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
