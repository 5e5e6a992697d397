#!/usr/bin/env python3
"""Writes testdata/reference: what MASE computes with quantized ops and nets. Needs numpy:

    python3 tools/formats/make_net_goldens.py testdata

quantized_ops.py has MASE's operators, reference_model.py its formats; neither knows the C++ code.
ops.txt and nets.txt hold blocks of lines

    graph <GraphProto as text>            or  checkpoint <file in testdata/checkpoints>
    tensor <name> <extents> : <float32 bit patterns, hex>
    input <extents> : <bits>              one per placeholder
    rule <op> <QuantizeConfig as text>    one or more, then the outputs that they lead to:
    y <extents> : <bits>

predictions.txt has lines "<case> <predicted class of each row of the test split>", from one batch.
conv.safetensors has the weights of the convolutional net there.
"""
import csv
import gzip
import json
import os
import re
import struct
import sys

import numpy as np

import quantized_ops as mase

f4 = np.float32
RNG = np.random.default_rng(7)

# ---- Formats, with parameters for each operand ----

FORMATS = {
    "integer": {"width": 8, "frac_width": 4},
    "minifloat_ieee": {"width": 8, "exponent_width": 4},
    "minifloat_denorm": {"width": 8, "exponent_width": 3, "exponent_bias": 5},
    "log": {"width": 6, "exponent_bias": 20},
    "block_fp": {"width": 6, "exponent_width": 8, "block_size": [1, 4]},
    "block_minifloat": {"width": 8, "exponent_width": 4, "exponent_bias_width": 8, "block_size": [2, 3]},
    "block_log": {"width": 5, "exponent_bias_width": 8, "block_size": [3]},
    "binary": {"stochastic": False, "bipolar": True},
    "ternary": {"scaling_factor": True},
    "mxint": {"block_size": [4], "width": 6},
    "mxfp": {"block_size": [4], "exponent_width": 4, "frac_width": 3},
    "minifloat": {"exponent_width": 4, "frac_width": 3},
}


def config(name, **operands):
    """The same parameters for data_in, weight and bias, but for what `operands` says."""
    p = FORMATS.get(name, {})
    cfg = {"name": name, "data_in": dict(p), "weight": dict(p), "bias": dict(p)}
    if name == "integer":
        cfg["weight"]["frac_width"], cfg["bias"]["frac_width"] = 5, 6
    for operand, extra in operands.items():
        cfg[operand] = {**cfg.get(operand, {}), **extra}
    return {k: v for k, v in cfg.items() if v or k == "name"}


def text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value)


def config_text(cfg):
    parts = [f'name: "{cfg["name"]}"']
    for operand in ("data_in", "weight", "bias", "data_out"):
        if operand in cfg:
            fields = " ".join(f"{k}: {text(v)}" for k, v in cfg[operand].items())
            parts.append(f"{operand} {{ {fields} }}")
    return " ".join(parts)


# ---- Files ----

def bits(x):
    shape, x = np.shape(x), np.ascontiguousarray(x, f4)
    assert np.isfinite(x).all()
    return f"{' '.join(map(str, shape))} : " + " ".join(f"{u:08x}" for u in x.view(np.uint32).reshape(-1))


def values(*shape, scale=1.0):
    x = (RNG.standard_normal(shape) * scale * 2.0 ** RNG.integers(-3, 3, shape)).astype(f4)
    x.reshape(-1)[RNG.integers(0, x.size, max(1, x.size // 10))] = 0
    return x


def attribute(name, value):
    if isinstance(value, bool):
        return f'attribute {{ name: "{name}" b: {text(value)} }}'
    if isinstance(value, int):
        return f'attribute {{ name: "{name}" i: {value} }}'
    return f'attribute {{ name: "{name}" ints {{ value: {text(list(value))} }} }}'


def graph(kind, op, inputs, attributes):
    nodes = []
    for i, x in enumerate(inputs):
        nodes.append(f'node {{ name: "x{i}" kind: PLACEHOLDER op: "placeholder" target: "x{i}" {attribute("shape", x.shape)} }}')
    reads = " ".join(f'input: "x{i}"' for i in range(len(inputs)))
    attrs = " ".join(attribute(k, v) for k, v in attributes.items())
    nodes.append(f'node {{ name: "n" kind: {kind} op: "{op}" target: "n" {reads} {attrs} }}')
    nodes.append('node { name: "output" kind: OUTPUT op: "output" target: "output" input: "n" }')
    return " ".join(nodes)


class Ops:
    def __init__(self):
        self.lines, self.cases = [], 0

    def setup(self, kind, op, inputs, tensors=None, **attributes):
        self.op = op
        self.lines.append("graph " + graph("CALL_" + kind, op, inputs, attributes))
        self.lines += [f"tensor n.{k} {bits(v)}" for k, v in (tensors or {}).items()]
        self.lines += [f"input {bits(x)}" for x in inputs]

    def case(self, cfg, y):
        self.lines += [f"rule {self.op} {config_text(cfg)}", f"y {bits(y)}"]
        self.cases += 1


def functions(out):
    four, three, two = values(2, 3, 4, 8), values(2, 4, 8), values(4, 8)
    without = {"add": {"log"}, "sub": {"log", "block_log"}, "mul": {"log"}}
    for op, missing in without.items():
        # Broadcasting of the second input, and the rank of the first, matter to block formats. Axis 0
        # of every input is the batch, so 4 stands for several things.
        for x, y in ((two, values(4, 8)), (two, values(4, 1)), (values(4, 4, 8), values(4, 8)), (values(4, 3, 4, 8), values(4, 1, 4, 8)), (values(4, 3, 4, 8), values(4, 8))):
            out.setup("FUNCTION", op, [x, y])
            for name in mase.TEN:
                if name in missing or (name == "ternary" and y.ndim != 4):
                    continue
                cfg = config(name)
                out.case(cfg, mase.arithmetic(op, cfg, x, y))
    for op, pairs in (("matmul", ((values(8, 8), values(8, 4)), (values(8, 2, 8), values(8, 4)), (four, values(2, 3, 8, 4)))), ("bmm", ((three, values(2, 8, 4)),))):
        for x, y in pairs:
            out.setup("FUNCTION", op, [x, y])
            for name in mase.TEN + ("mxint", "mxfp"):
                if name != "ternary":
                    cfg = config(name)
                    out.case(cfg, mase.product(cfg, x, y))
    for op in ("relu", "selu", "silu", "softmax"):
        for x in (two, three, four):
            out.setup("FUNCTION", op, [x])
            for name in mase.TEN if op in ("relu", "selu") else ("mxint", "mxfp", "minifloat"):
                if (name == "ternary" and x.ndim != 4) or (op == "relu" and name == "block_log" and x.ndim < 3):
                    continue
                cfg = config(name)
                out.case(cfg, mase.activation(op, cfg, x, False))


def modules(out):
    for op in ("relu", "selu", "silu", "gelu"):
        for x in (values(4, 9), values(2, 4, 9), values(2, 3, 4, 5)):
            out.setup("MODULE", op, [x])
            for name in mase.TEN:
                if name in mase.BLOCKS and op == "gelu":
                    continue
                cfg = config(name)
                out.case(cfg, mase.activation(op, cfg, x, True))
    more = {
        "binary_residual": config("binary_residual", data_in={"levels": 2}, weight={"stochastic": False, "bipolar": True}),
        "flexround": config("flexround", data_in={"width": 8, "frac_width": 4}, weight={"s1_init": 0.125}),
    }
    for x in (values(5, 12), values(2, 5, 12)):
        w, b = values(8, 12, scale=0.5), values(8, scale=0.5)
        out.setup("MODULE", "linear", [x], {"weight": w, "bias": b}, in_features=12, out_features=8)
        cases = [config(n) for n in mase.TEN if n != "ternary"] + list(more.values())
        cases += [config("mxint"), config("mxfp"), config("integer", data_out={"width": 10, "frac_width": 5})]
        floor = {"floor": True}
        cases += [config("integer", data_in=floor, weight=floor, bias=floor, data_out={"width": 9, "frac_width": 3, **floor})]
        cases += [config("logicnets", data_in={"width": 3, "frac_width": 1}, data_out={"width": 4, "frac_width": 0})]
        tiles = {"width": 9, "exponent_width": 4}
        cases += [config("mxint_hardware", data_in={**tiles, "parallelism": [5, 4]}, weight={**tiles, "parallelism": [2, 3]}, bias={**tiles, "parallelism": [1, 8]})]
        for cfg in cases:
            out.case(cfg, mase.layer("linear", cfg, x, w, b))
    x, w, b = values(2, 3, 11), values(4, 3, 3, scale=0.5), values(4, scale=0.5)
    out.setup("MODULE", "conv1d", [x], {"weight": w, "bias": b}, in_channels=3, out_channels=4, kernel_size=(3,), stride=(2,), padding=(1,))
    for cfg in [config(n) for n in mase.TEN if n != "ternary"] + [more["flexround"]]:
        out.case(cfg, mase.layer("conv1d", cfg, x, w, b, stride=2, padding=1))
    x, w, b = values(2, 3, 7, 9), values(4, 3, 3, 3, scale=0.5), values(4, scale=0.5)
    out.setup("MODULE", "conv2d", [x], {"weight": w, "bias": b}, in_channels=3, out_channels=4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    for cfg in [config(n) for n in mase.TEN] + list(more.values()) + [config("block_log", bias={"block_size": [2, 2]})]:
        out.case(cfg, mase.layer("conv2d", cfg, x, w, b, stride=2, padding=1))
    x, w = values(2, 3, 4, 5), values(3, 4, 3, 3, scale=0.5)
    out.setup("MODULE", "convtranspose2d", [x], {"weight": w}, in_channels=3, out_channels=4, kernel_size=(3, 3), stride=(2, 2), bias=False)
    for name in ("integer", "minifloat_ieee", "minifloat_denorm", "log", "binary"):
        out.case(config(name), mase.conv_transpose(config(name), x, w, 2))
    x = values(2, 3, 4, 6)
    for op, window, attributes in (("avg_pool2d", (2, 3), {"kernel_size": (2, 3), "stride": (2, 3)}), ("adaptive_avg_pool2d", (2, 3), {"output_size": (2, 2)})):
        out.setup("MODULE", op, [x], **attributes)
        for name in ("integer", "binary", "ternary") if op == "avg_pool2d" else ("integer",):
            cfg = config(name)
            out.case(cfg, mase.pool(cfg, x, window))
    for op, x in (("batch_norm1d", values(6, 5)), ("batch_norm2d", values(2, 5, 3, 3))):
        t = {"weight": values(5), "bias": values(5), "running_mean": values(5), "running_var": np.abs(values(5)) + f4(0.5)}
        out.setup("MODULE", op, [x], t, num_features=5)
        for name in ("integer", "binary")[:2 if op == "batch_norm2d" else 1]:
            cfg = config(name)
            out.case(cfg, mase.batch_norm(op, cfg, x, t))
    cfg, x = config("integer"), values(2, 4, 3, 5)
    out.setup("MODULE", "layer_norm", [x], normalized_shape=(5,), elementwise_affine=False)
    out.case(cfg, mase.row_norm("layer_norm", cfg, x))
    out.setup("MODULE", "group_norm", [x], {"weight": values(4), "bias": values(4)}, num_groups=2, num_channels=4)
    out.case(cfg, mase.row_norm("group_norm", cfg, x, 2))
    out.setup("MODULE", "instance_norm2d", [x], num_features=4)
    out.case(cfg, mase.row_norm("instance_norm2d", cfg, x))


def corners(out):
    """Later cases, with numbers of their own, so that those of the others stay."""
    global RNG
    kept, RNG = RNG, np.random.default_rng(8)
    x = values(2, 3, 5, 17)
    for op in ("relu", "selu", "silu"):
        out.setup("MODULE", op, [x])
        cfg = config("block_fp", data_in={"width": 8, "exponent_width": 8, "block_size": [16]})
        out.case(cfg, mase.activation(op, cfg, x, True))
    x = values(4, 9)
    out.setup("FUNCTION", "relu", [x])
    for name, p in (("minifloat_ieee", {"width": 5}), ("minifloat_denorm", {"width": 5}), ("minifloat_denorm", {"width": 4})):
        cfg = config(name, data_in=p)
        out.case(cfg, mase.activation("relu", cfg, x, False))
    for x, y in ((values(8, 8), values(8)), (values(8), values(8, 4)), (values(8), values(8))):
        out.setup("FUNCTION", "matmul", [x, y])
        for cfg in [config(n) for n in mase.TEN if n != "ternary"] + [config("mxint"), config("mxint", weight={"width": 1})]:
            out.case(cfg, mase.product(cfg, x, y))
    # Outputs of fewer than ten elements, and small ones, pass FlexRound.
    cfg = config("flexround", data_in={"width": 8, "frac_width": 4}, weight={"s1_init": 0.125})
    for x, outputs in ((values(3, 12), 3), (values(3, 12), 4), ((values(3, 12) * 1e-7).astype(f4), 8)):
        w = values(outputs, 12, scale=0.5)
        out.setup("MODULE", "linear", [x], {"weight": w}, in_features=12, out_features=outputs, bias=False)
        out.case(cfg, mase.layer("linear", cfg, x, w, None))
    x, w, b = values(5, 12), values(8, 12, scale=0.5), values(8, scale=0.5)
    out.setup("MODULE", "linear", [x], {"weight": w, "bias": b}, in_features=12, out_features=8)
    for name in ("mxint", "mxfp"):
        cfg = config(name)
        del cfg["bias"]
        out.case(cfg, mase.layer("linear", cfg, x, w, b))
    RNG = kept


# ---- Nets ----

def read_checkpoint(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    facts = header.pop("__metadata__")
    tensors = {}
    for name, t in header.items():
        if t["dtype"] == "F32":
            begin, end = t["data_offsets"]
            tensors[name] = np.frombuffer(data[8 + n + begin:8 + n + end], "<f4").reshape(t["shape"])
    layers = [(m[2], m[3]) for m in re.finditer(r'name: "([^"]*)"\n  kind: CALL_MODULE\n  op: "([^"]*)"\n  target: "([^"]*)"', facts["mase.graph"])]
    return [(op, {p: tensors[f"{target}.{p}"] for p in ("weight", "bias", "running_mean", "running_var") if f"{target}.{p}" in tensors}) for op, target in layers]


def run(layers, rules, x):
    for op, t in layers:
        cfg = rules.get(op)
        if op == "batch_norm1d":
            x = mase.batch_norm(op, cfg, x, t)
        elif op == "relu":
            x = mase.activation(op, cfg, x, True) if cfg else mase.float_activation(op, x)
        elif op == "linear":
            x = mase.layer(op, cfg, x, t["weight"], t.get("bias")) if cfg else x @ t["weight"].T + t["bias"]
        else:
            assert op == "dropout", op
        x = x.astype(f4)
    return x


def jets(data):
    with gzip.open(f"{data}/jsc/jsc_openml_test1000.csv.gz", "rt") as f:
        x = np.array([[f4(v) for v in row[:-1]] for row in list(csv.reader(f))[1:]], f4)
    with open(f"{data}/jsc/jsc_train664k_scaler.csv") as f:
        scaler = np.array([[float(v) for v in row[1:]] for row in list(csv.reader(f))[1:]])
    return ((x - scaler[:, 0]).astype(f4) / scaler[:, 1]).astype(f4)


def jet_rules():
    row = {"block_size": [1, 16]}
    wide = {"width": 8, "frac_width": 4}
    everywhere = {n: {op: config(n) for op in ("linear", "relu")} for n in ("minifloat_ieee", "minifloat_denorm", "log", "block_minifloat", "block_log")}
    return {
        "integer": {op: config("integer") for op in ("linear", "relu", "batch_norm1d")},
        "fixed": {"linear": {**config("integer"), "name": "fixed"}},
        **everywhere,
        "block_fp": {op: config("block_fp", data_in=row, weight=row, bias={"block_size": [16]}) for op in ("linear", "relu")},
        "binary": {"linear": config("binary"), "relu": config("binary")},
        "ternary": {"relu": config("ternary"), "linear": {**config("integer"), "data_in": wide}},
        "binary_residual": {"linear": config("binary_residual", data_in={"levels": 3}, weight={"stochastic": False, "bipolar": True})},
        "flexround": {"linear": config("flexround", data_in={"width": 10, "frac_width": 5}, weight={"s1_init": 0.0625})},
        "mxint": {"linear": config("mxint", data_in={"block_size": [8]}, weight={"block_size": [8]}, bias={"block_size": [1]})},
    }


CONV = "Conv 4 7 stride=7, ReLU, AvgPool 2; flatten(); head: Linear classes"


def conv_weights():
    return {"seq_blocks.0.weight": (values(4, 1, 7, 7) / 2000).astype(f4), "seq_blocks.0.bias": values(4, scale=0.02), "head.0.weight": values(10, 16, scale=0.5), "head.0.bias": values(10, scale=0.02)}


def conv_net(t, rules, x):
    conv, linear = rules.get("conv2d"), rules.get("linear")
    w, b = t["seq_blocks.0.weight"], t["seq_blocks.0.bias"]
    x = mase.layer("conv2d", conv, x, w, b, stride=7) if conv else mase.conv(x, w, b, 7)
    x = mase.float_activation("relu", x.astype(f4))
    cfg = rules.get("avg_pool2d")
    x = mase.pool(cfg or {"name": "binary"}, x, (2, 2)).reshape(len(x), -1)
    w, b = t["head.0.weight"], t["head.0.bias"]
    return mase.layer("linear", linear, x, w, b) if linear else (x @ w.T + b).astype(f4)


def conv_rules():
    pixels = {"width": 9, "frac_width": 0}
    integer = config("integer", data_in=pixels, weight={"width": 8, "frac_width": 12})
    return {
        "conv-integer": {"conv2d": integer, "linear": config("integer"), "avg_pool2d": config("integer")},
        "conv-block_fp": {"conv2d": config("block_fp"), "linear": config("block_fp")},
        "conv-binary": {"conv2d": config("binary"), "linear": config("binary"), "avg_pool2d": config("binary")},
        "conv-ternary": {"conv2d": config("ternary"), "avg_pool2d": config("ternary")},
    }


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = np.ascontiguousarray(t, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data)


def digits(y):
    return "".join(map(str, y.argmax(-1)))


def main():
    data = sys.argv[1]
    folder = f"{data}/reference"
    os.makedirs(folder, exist_ok=True)
    ops = Ops()
    functions(ops)
    modules(ops)
    corners(ops)
    with open(f"{folder}/ops.txt", "w") as f:
        f.write("\n".join(ops.lines) + "\n")
    x, lines, predictions = jets(data), [], []
    for net in ("jsc-tiny", "jsc-toy", "jsc-s"):
        layers = read_checkpoint(f"{data}/checkpoints/{net}.safetensors")
        lines += [f"checkpoint {net}.safetensors", f"input {bits(x[:40])}"]
        for name, rules in jet_rules().items():
            lines += [f"rule {op} {config_text(cfg)}" for op, cfg in rules.items()]
            lines.append(f"y {bits(run(layers, rules, x[:40]))}")
            if net == "jsc-toy":
                predictions.append((net, rules, name, digits(run(layers, rules, x))))
                if name == "integer":  # By default MASE's pass takes no batch_norm1d.
                    default = {op: config("integer") for op in ("linear", "relu")}
                    for cfg in default.values():
                        for operand in ("weight", "bias"):
                            cfg[operand] = cfg["data_in"]
                    predictions.append((net, {"default": default["linear"]}, "default", digits(run(layers, default, x))))
    with open(f"{folder}/nets.txt", "w") as f:
        f.write("\n".join(lines) + "\n")
    weights = conv_weights()
    write_safetensors(f"{folder}/conv.safetensors", weights)
    with gzip.open(f"{data}/mnist/t10k-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read()[16:], np.uint8).reshape(-1, 1, 28, 28).astype(f4)
    for name, rules in conv_rules().items():
        predictions.append((CONV, rules, name, digits(conv_net(weights, rules, images))))
    with open(f"{folder}/predictions.txt", "w") as f:
        for net, rules, name, classes in predictions:
            f.write(f"net {net}\n")
            for op, cfg in rules.items():
                f.write(f"rule {op} {config_text(cfg)}\n")
            f.write(f"classes {classes}\n")
    print(ops.cases, "cases of ops,", sum(l.startswith("y") for l in lines), "of nets,", len(predictions), "with predictions")


if __name__ == "__main__":
    main()
