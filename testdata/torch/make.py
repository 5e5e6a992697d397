#!/usr/bin/env python3
"""Makes the files of this folder: python3 make.py FOLDER. Wants PyPI's torch and numpy."""
import collections
import functools
import json
import os
import sys
import types

import numpy as np
import torch
import torch.fx
from torch import nn

FOLDER = sys.argv[1]


def save(value, name, **options):
    torch.save(value, os.path.join(FOLDER, name), **options)


def net():
    module = nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU())
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape) / 8 + i)
        module[0].running_mean.copy_(torch.tensor([0.0, 0.25, 0.5, 0.75]))
        module[0].num_batches_tracked.fill_(7)
    return module


def in_type(dtype):
    return collections.OrderedDict(
        (k, v.to(dtype) if v.is_floating_point() else v) for k, v in net().state_dict().items())


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


save(net().state_dict(), "sequential.pt")
save(net().state_dict(), "sequential_old_format.pth", _use_new_zipfile_serialization=False)
save(in_type(torch.float16), "half.pt")
save(in_type(torch.bfloat16), "bfloat16.pt")
save(in_type(torch.float64), "double.pt")

# As Lightning writes them, with all kinds of data around the tensors.
trained = net()
optimizer = torch.optim.Adam(trained.parameters(), lr=1e-3)
trained(torch.ones(8, 4)).sum().backward()
optimizer.step()
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
save({
    "epoch": 3,
    "global_step": 100,
    "pytorch-lightning_version": "2.4.0",
    "state_dict": collections.OrderedDict(
        ("model.seq_blocks." + k, v) for k, v in net().state_dict().items()),
    "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
    "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {
        "best_model_score": torch.tensor(0.5), "dirpath": "/x", "last": None, "flag": True}},
    "optimizer_states": [optimizer.state_dict()],
    "lr_schedulers": [schedule.state_dict()],
    "hyper_parameters": {
        "float": np.float64(1.5), "int": np.int64(3), "size": torch.Size([1, 2]),
        "dtype": torch.float32, "device": torch.device("cpu"), "list": [1, 2.5, "x", (1, 2, 3, 4)],
        "set": {1, 2}, "big": 1 << 40, "huge": 1 << 100, "negative": -5, "bytes": b"ab"},
}, "lightning.ckpt")

matrix = torch.arange(12, dtype=torch.float32).reshape(3, 4)
save({
    "transposed": nn.Parameter(matrix.t()[1:3]), "part": matrix[1, 1:3], "whole": matrix,
    "empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5),
    "int16": torch.tensor([1, -2], dtype=torch.int16),
    "uint8": torch.tensor([1, 255], dtype=torch.uint8), "bool": torch.tensor([True, False]),
}, "views.pt")



class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.seq_blocks = net()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x):
        return self.seq_blocks(x) * self.scale


def named(class_, module, name):
    """The class under MASE's name, as a pickle has it."""
    class_.__module__, class_.__name__, class_.__qualname__ = module, name, name
    parts = module.split(".")
    for i in range(len(parts)):
        parent = ".".join(parts[:i + 1])
        sys.modules.setdefault(parent, types.ModuleType(parent))
    setattr(sys.modules[module], name, class_)
    return class_


class Tracer(torch.fx.Tracer):
    def is_leaf_module(self, module, path):
        return module.__module__.startswith("chop.") or super().is_leaf_module(module, path)


class MyLinear(nn.Linear):
    pass


def integer_quantizer(x, width, frac_width):
    return x


def quantiser_passthrough(x):
    return x


class LinearInteger(nn.Linear):
    """As MASE's: the config, what became of it, and functions that round."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.config = {"name": "integer", "data_in_width": 8, "data_in_frac_width": 4, "weight_width": 8,
                       "weight_frac_width": 4, "bias_width": 8, "bias_frac_width": 4, "bypass": False}
        self.bypass, self.pruning_masks, self.out_config = False, None, None
        self.w_quantizer = functools.partial(integer_quantizer, width=8, frac_width=4)
        self.b_quantizer = quantiser_passthrough


class ReLUInteger(nn.ReLU):
    def __init__(self):
        super().__init__()
        self.config, self.bypass = {"data_in_width": 8, "data_in_frac_width": 4}, False
        self.x_quantizer = functools.partial(integer_quantizer, width=8, frac_width=4)


def quantized():
    module = net()
    module[3] = ReLUInteger()
    layer = LinearInteger(4, 3)
    layer.load_state_dict(module[2].state_dict())
    module[2] = layer
    return module


# As MASE writes a graph: a torch.fx.GraphModule, by a tracer of its own. graph_module_1_13.mz is
# made by PyTorch 1.13: python3 make.py FOLDER graph_module_1_13.mz
named(Tracer, "chop.ir.graph.mase_graph", "MaseTracer")
named(LinearInteger, "chop.nn.quantized.modules.linear", "LinearInteger")
named(ReLUInteger, "chop.nn.quantized.modules.relu", "ReLUInteger")
named(integer_quantizer, "chop.nn.quantizers.integer", "integer_quantizer")
named(quantiser_passthrough, "chop.nn.quantized.utils", "quantiser_passthrough")
named(MyLinear, "lab.nets", "MyLinear")
whole = Net()
save(torch.fx.GraphModule(whole, Tracer().trace(whole)), sys.argv[2] if len(sys.argv) > 2 else "graph_module.mz")
if len(sys.argv) > 2:
    sys.exit()

save(quantized(), "quantized_module.mz")
whole.seq_blocks = quantized()
save(torch.fx.GraphModule(whole, Tracer().trace(whole)), "quantized_graph_module.mz")

# What is refused.
save(nn.Sequential(MyLinear(4, 3)), "custom_module.mz")
save({"weight": torch.ones(2, dtype=torch.complex64)}, "complex.pt")
save(net(), "module.mz")
save({"weight": Evil()}, "evil.pt")
save({"weight": Evil()}, "evil_old_format.pt", _use_new_zipfile_serialization=False)
save([1, 2, 3], "no_tensors.pt")

# The trained net of testdata/checkpoints, as MASE's training with Lightning and as a plain
# nn.Sequential.
with open(os.path.join(FOLDER, "../checkpoints/jsc-tiny.safetensors"), "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    data = file.read()
weights = collections.OrderedDict()
for name, entry in header.items():
    if name != "__metadata__":
        begin, end = entry["data_offsets"]
        dtype = {"F32": np.float32, "I64": np.int64}[entry["dtype"]]
        weights[name] = torch.tensor(np.frombuffer(data[begin:end], dtype).reshape(entry["shape"]))
save({"epoch": 9, "global_step": 1000, "pytorch-lightning_version": "2.1.0",
      "state_dict": collections.OrderedDict(("model." + k, v) for k, v in weights.items())},
     "jsc_tiny_lightning.ckpt")
save(collections.OrderedDict((k.split(".", 1)[1], v) for k, v in weights.items()),
     "jsc_tiny_sequential.pt", _use_new_zipfile_serialization=False)
