#!/usr/bin/env python3
"""Prints the figures of mase/train/qat_trace_test.cc: quantization-aware training in plain PyTorch.

    python3 tools/make_qat_trace.py          # wants torch and numpy; needed by no build or test

Data are LinearJets of mase/train/testing_data.h, batches those of DataLoader(shuffle=True) after
torch.manual_seed(0) and the construction of the net, the optimizer is Adam under a cosine schedule.
A quantized operand is rounded to integers of 6 bits, 3 of them behind the point, ties to even, at
each forward; its gradient passes straight through, saturated or not. The last net has learned steps
(LSQ) instead: 16 codes around zero, the step of each operand a parameter; its biases stay float, as
sums of codes that are zero but for rounding make a ReLU's gradient a matter of luck. Even so the two
precisions part after its first epoch: steps that are no powers of two make rounding a little so, too.
Each training runs in float32
and in float64; how far the two are apart tells what a third implementation can be asked for.
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WIDTH, FRAC_WIDTH = 6, 3
BATCH, RATE, FLOOR, EPOCHS = 256, 1e-2, 1e-6, 5


class RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        low, high = -(2 ** (WIDTH - 1)), 2 ** (WIDTH - 1) - 1
        return torch.clamp(torch.round(x * 2**FRAC_WIDTH), low, high) / 2**FRAC_WIDTH

    @staticmethod
    def backward(ctx, diff):
        return diff


q = RoundThrough.apply


class QuantizedLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(q(x), q(self.weight), q(self.bias))


class QuantizedBatchNorm(nn.BatchNorm1d):
    def forward(self, x):
        if self.training:
            self.num_batches_tracked += 1
        return nn.functional.batch_norm(q(x), self.running_mean, self.running_var, q(self.weight),
                                        q(self.bias), self.training, self.momentum, self.eps)


class RoundByStep(torch.autograd.Function):
    LOW, HIGH = -8, 7

    @staticmethod
    def forward(ctx, x, step):
        v = x / step
        code = torch.round(v)
        inside = (code >= RoundByStep.LOW) & (code <= RoundByStep.HIGH)
        code = torch.clamp(code, RoundByStep.LOW, RoundByStep.HIGH)
        ctx.save_for_backward(inside, torch.where(inside, code - v, code))
        return code * step

    @staticmethod
    def backward(ctx, diff):
        inside, by_step = ctx.saved_tensors
        return diff * inside, (diff * by_step).sum() / (RoundByStep.HIGH * diff.numel()) ** 0.5


class LearnedStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(0.25))

    def forward(self, x):
        return RoundByStep.apply(x, self.step)


class LearnedLinear(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.data_in, self.of_weight = LearnedStep(), LearnedStep()

    def forward(self, x):
        return nn.functional.linear(self.data_in(x), self.of_weight(self.weight), self.bias)


def learned(norm):
    return nn.Sequential(norm(16), nn.ReLU(), LearnedLinear(16, 32), nn.ReLU(), LearnedLinear(32, 5))


def tiny(norm):
    return nn.Sequential(norm(16), nn.ReLU(), QuantizedLinear(16, 5), nn.ReLU())


def deep(norm):
    return nn.Sequential(norm(16), nn.ReLU(), QuantizedLinear(16, 32), nn.ReLU(),
                         QuantizedLinear(32, 5))


def linear_jets(seed, rows):
    x = np.random.RandomState(seed).rand(rows, 16) * 4 - 2
    y = np.argmax(x @ (np.random.RandomState(7).rand(16, 5) - 0.5), 1)
    return torch.tensor(x.astype(np.float32)), torch.tensor(y)


def run(build, norm, dtype):
    """Losses of the first steps; training loss, validation loss and right answers of each epoch; steps."""
    torch.manual_seed(0)
    net = build(norm).to(dtype)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS, FLOOR)
    data = [TensorDataset(x.to(dtype), y) for x, y in (linear_jets(0, 4100), linear_jets(1, 1000))]
    train, validation = DataLoader(data[0], BATCH, shuffle=True), DataLoader(data[1], BATCH)
    loss_of = nn.functional.cross_entropy
    steps, epochs = [], []
    for _ in range(EPOCHS):
        net.train()
        losses = []
        for x, y in train:
            loss = loss_of(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        net.eval()
        with torch.no_grad():
            scores = [(net(x), y) for x, y in validation]
        epochs.append((np.mean(losses), np.mean([loss_of(z, y).item() for z, y in scores]),
                       sum((z.argmax(1) == y).sum().item() for z, y in scores)))
        steps += losses
    learned_steps = [m.step.item() for m in net.modules() if isinstance(m, LearnedStep)]
    return steps, epochs, learned_steps


def main():
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}")
    for name, build, norm in (("tiny, batch norm in float", tiny, nn.BatchNorm1d),
                              ("tiny, batch norm quantized", tiny, QuantizedBatchNorm),
                              ("deep, batch norm quantized", deep, QuantizedBatchNorm),
                              ("deep, learned steps", learned, nn.BatchNorm1d)):
        steps, epochs, _ = run(build, norm, torch.float32)
        steps64, epochs64, learned_steps = run(build, norm, torch.float64)
        apart = max(abs(a[0] - b[0]) for a, b in zip(epochs, epochs64))
        print(f"\n{name}; float32 and float64 are {apart:.1e} apart in training loss")
        print("first steps: {" + ", ".join(f"{loss:.7f}" for loss in steps64[:5]) + "}")
        for (train, validation, correct), (train64, validation64, correct64) in zip(epochs, epochs64):
            print(f"{{{train64:.9f}, {validation64:.9f}, {correct64}}},"
                  f"   float32: {train:.9f}, {validation:.9f}, {correct}")
        if learned_steps:
            print("learned steps: {" + ", ".join(f"{step:.7f}" for step in learned_steps) + "}")


if __name__ == "__main__":
    main()
