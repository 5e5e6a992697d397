#!/usr/bin/env python3
"""Compares what we make of ONNX files with ONNX's own cases and with ONNX Runtime.

  python3 benchmarks/compare_onnx.py nodes          ONNX's backend node tests, each as a net, or between
                                                    roundings to codes, or with its result computed while
                                                    the file is read
  python3 benchmarks/compare_onnx.py vision         torchvision's nets, random weights
  python3 benchmarks/compare_onnx.py nets           an encoder, a decoder, MLPs
  python3 benchmarks/compare_onnx.py keras          nets of Keras by tf2onnx
  python3 benchmarks/compare_onnx.py exported FILE  a file of `ch export` on 20,000 random rows: classes;
                                                    with --net=CHECKPOINT also node by node, in steps
  python3 benchmarks/compare_onnx.py netron FILE    whether Netron shows it (wants `netron` and Chromium)
  python3 benchmarks/compare_onnx.py make FOLDER    writes the small files of testdata/onnx

`nodes` wants `onnx` alone: of a version with opset 21 (1.16), because later ones write their cases in
later opsets. `keras` wants `onnx tensorflow-cpu tf2onnx`, the others
`onnxruntime torch torchvision onnxscript scikit-learn skl2onnx`. All come from PyPI; keep them in an
environment outside of the tree. `bazel-bin/mase/onnx/run_onnx` must be built.
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import tempfile

import numpy as np
import onnx

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNNER = os.environ.get("RUN_ONNX", os.path.join(ROOT, "bazel-bin/mase/onnx/run_onnx"))


def readable_ops():
    """Names of the ops that docs/reference/onnx.md lists."""
    with open(os.path.join(ROOT, "docs/reference/onnx.md")) as page:
        return set(re.findall(r"^\| `(\w+)`", page.read(), re.M))


def run(cases, folder):
    """Runs (model, inputs) pairs; gives a result or the reason of a refusal for each."""
    lines, outs = [], []
    for i, (model, inputs) in enumerate(cases):
        words = [model, os.path.join(folder, f"out{i}.npy")]
        for k, array in enumerate(inputs):
            words.append(os.path.join(folder, f"in{i}_{k}.npy"))
            np.save(words[-1], array)
        lines.append(" ".join(words))
        outs.append(words[1])
    listing = os.path.join(folder, "cases.txt")
    with open(listing, "w") as file:
        file.write("\n".join(lines) + "\n")
    printed = subprocess.run([RUNNER, listing], capture_output=True, text=True)
    said = printed.stdout.splitlines()
    said += [f"died: {printed.returncode} {printed.stderr[-300:]}"] * (len(cases) - len(said))
    return [np.load(out) if line == "ok" else line for line, out in zip(said, outs)]


def load_tensors(folder, stem):
    """Tensors as the file has them, and as arrays."""
    tensors = []
    for i in range(len(glob.glob(f"{folder}/{stem}_*.pb"))):
        tensors.append(onnx.TensorProto())
        with open(f"{folder}/{stem}_{i}.pb", "rb") as file:
            tensors[-1].ParseFromString(file.read())
    return tensors, [onnx.numpy_helper.to_array(tensor) for tensor in tensors]


# Cases whose expected result is not what the op's text says: they wrap around where it says "saturate".
NOT_THE_TEXT = {"test_qlinearmatmul_2D_int8_float16", "test_qlinearmatmul_2D_int8_float32"}


def nodes(options):
    import onnx.backend.test as backend

    known = readable_ops()
    cases, wants, names, ops = [], [], [], []
    data = os.path.join(os.path.dirname(backend.__file__), "data", "node")
    for path in sorted(glob.glob(f"{data}/*/model.onnx")):
        model = onnx.load(path)
        used = {node.op_type for node in model.graph.node}
        if not used <= known or os.path.basename(os.path.dirname(path)) in NOT_THE_TEXT:
            continue
        folder = os.path.join(os.path.dirname(path), "test_data_set_0")
        try:
            (stored, inputs), (_, outputs) = load_tensors(folder, "input"), load_tensors(folder, "output")
        except Exception:  # Sequences and the like, which no input of ours is.
            continue
        # Results of 16 bits are float32 in ours; of several results the first of floats runs.
        outputs = [o for o in outputs if o.dtype in (np.float32, np.float64)] or outputs
        numeric = inputs and all(array.dtype.kind in "fiub" and array.dtype != np.uint16 for array in inputs)
        if outputs[0].dtype == np.uint16 or not numeric:
            continue
        cases.append((path, list(zip(stored, inputs))))
        wants.append(outputs[0])
        names.append(os.path.basename(os.path.dirname(path)))
        ops.append("+".join(sorted(used)))
    # A case that one form refuses is tried in the next.
    results, as_form = ["refused: no form fits"] * len(cases), [""] * len(cases)
    for form in (as_net, as_layer, on_codes, as_constants):
        with tempfile.TemporaryDirectory() as folder:
            made = {}
            for i, (path, inputs) in enumerate(cases):
                if isinstance(results[i], str):
                    case = form(onnx.load(path), inputs, wants[i])
                    if case is not None:
                        model, feeds, wants_of_form = case
                        out = os.path.join(folder, f"m{i}.onnx")
                        onnx.save(in_known_opset(model), out)
                        made[i] = (out, feeds), wants_of_form
            ran = run([case for case, _ in made.values()], folder)
            for (i, (_, want)), result in zip(made.items(), ran):
                if not isinstance(result, str):
                    results[i], wants[i], as_form[i] = result, want, form.__name__
                elif form is as_net:
                    results[i] = result
    tally = collections.defaultdict(lambda: [0, 0, 0])
    refusals = collections.Counter()
    for name, op, result, want in zip(names, ops, results, wants):
        if isinstance(result, str):
            tally[op][2] += 1
            reason = re.sub(r"^.*?\): ", "", result.replace("refused: ", ""))
            refusals[re.sub(r"'[^']*'|-?\d+", "_", reason)[:70]] += 1
            if options.verbose:
                print(f"  refused {name}: {result}")
            if result.startswith("died"):
                print(f"DIED {name}: {result}")
        elif result.shape == want.shape and np.allclose(
                result, want.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True):
            tally[op][0] += 1
        else:
            tally[op][1] += 1
            print(f"WRONG {name}: {result.shape} {want.shape}")
    print(f"{'op':40s} passed  wrong refused")
    for op in sorted(tally):
        print(f"{op[:40]:40s} {tally[op][0]:6d} {tally[op][1]:6d} {tally[op][2]:7d}")
    total = np.sum(list(tally.values()), axis=0)
    print(f"{len(cases)} cases: {total[0]} passed, {total[1]} wrong, {total[2]} refused")
    for form, count in collections.Counter(as_form).items():
        print(f"  {count:4d} {form or 'refused'}")
    for reason, count in refusals.most_common(40):
        print(f"  {count:4d} {reason}")


def in_known_opset(model):
    """Files of opsets before 7 whose ops are those of 7, as files of that."""
    for opset in model.opset_import:
        schemas = [(onnx.defs.get_schema(n.op_type, 7), onnx.defs.get_schema(n.op_type, opset.version))
                   for n in model.graph.node] if opset.domain == "" and opset.version < 7 else []
        if schemas and all(new.since_version == old.since_version for new, old in schemas):
            opset.version = 7
    return model


def fed_inputs(model, inputs):
    given = {i.name for i in model.graph.initializer}
    return [(value, *pair) for value, pair in zip([i for i in model.graph.input if i.name not in given], inputs)]


def store_all_but(model, inputs, kept):
    """The model with the inputs of those names; the others are stored in the file."""
    fed = fed_inputs(model, inputs)
    for value, stored, _ in fed:
        if value.name not in kept:
            model.graph.initializer.add().CopyFrom(stored)
            model.graph.initializer[-1].name = value.name
    rest = [(value, array) for value, _, array in fed if value.name in kept]
    del model.graph.input[:]
    model.graph.input.extend([value for value, _ in rest])
    return [a.astype(np.float32) if a.dtype != np.int64 else a for _, a in rest]


FLOATS = (np.float32, np.float64, np.float16)


def as_net(model, inputs, want):
    """The first input of floats (or ids), of ops of several data inputs all; weights and the like are stored."""
    fed = fed_inputs(model, inputs)
    keeps = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "MatMul", "Concat"}
    several = all(node.op_type in keeps for node in model.graph.node)
    floats = [value.name for value, _, array in fed if array.dtype in FLOATS]
    ids = [value.name for value, _, array in fed if array.dtype == np.int64]
    kept = floats if several else floats[:1]
    return model, store_all_but(model, inputs, kept or ids[:1] or [fed[0][0].name]), want


def as_layer(model, inputs, want):
    """The first input alone, of floats, although the op could read several."""
    value, _, array = fed_inputs(model, inputs)[0]
    if array.dtype not in FLOATS:
        return None
    return model, store_all_but(model, inputs, [value.name]), want


def on_codes(model, inputs, want):
    """Between a QuantizeLinear and a DequantizeLinear: nets read and give numbers."""
    if len(model.graph.node) != 1 or want.dtype.kind not in "iu":
        return None
    node = model.graph.node[0]
    arrays = {value.name: array for value, _, array in fed_inputs(model, inputs)}
    places = {"QLinearConv": (1, 2, 6, 7), "QLinearMatMul": (1, 2, 6, 7), "QuantizeLinear": (None, None, 1, 2)}
    if node.op_type not in places:
        return None
    in_scale, in_zero, out_scale, out_zero = [
        place if place is None or place >= len(node.input) else node.input[place] for place in places[node.op_type]]
    if out_zero not in arrays:
        return None
    numbers = lambda codes, scale, zero: (
        (codes.astype(np.int32) - arrays[zero].astype(np.int32)) * arrays[scale].astype(np.float32))
    if arrays[out_scale].size != 1 or (in_scale and arrays[in_scale].size != 1):
        return None
    kept = model.graph.input[0].name
    feeds = store_all_but(model, inputs, [kept])
    if in_scale:
        node.input[0] = "codes_in"
        model.graph.node.insert(0, onnx.helper.make_node("QuantizeLinear", [kept, in_scale, in_zero], ["codes_in"]))
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        feeds = [numbers(arrays[kept], in_scale, in_zero).astype(np.float32)]
    result = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", [result, out_scale, out_zero], ["numbers"]))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("numbers", onnx.TensorProto.FLOAT, want.shape))
    return model, feeds, numbers(want, out_scale, out_zero)


def as_constants(model, inputs, want):
    """All inputs stored, so that the result is computed while the file is read, and added to an input of zeros."""
    if want.size == 0 or want.ndim == 0 or want.dtype.kind not in "fiub":
        return None
    store_all_but(model, inputs, [])
    result = next((o for o in model.graph.output if o.type.tensor_type.elem_type in
                   (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)), model.graph.output[0]).name
    model.graph.node.extend([onnx.helper.make_node("Cast", [result], ["as_floats"], to=onnx.TensorProto.FLOAT),
                             onnx.helper.make_node("Add", ["zeros", "as_floats"], ["sum"])])
    del model.graph.output[:]
    for values, name in ((model.graph.input, "zeros"), (model.graph.output, "sum")):
        values.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, want.shape))
    return model, [np.zeros(want.shape, np.float32)], want


def close(result, want):
    if isinstance(result, str):
        return result
    scale = np.max(np.abs(want))
    error = float(np.max(np.abs(result - want)) / scale)
    return error


def compare(models):
    """(name, path, inputs) triples against ONNX Runtime."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        results = run([(path, inputs) for _, path, inputs in models], folder)
    worst = 0
    for (name, path, inputs), result in zip(models, results):
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        feeds = {i.name: a for i, a in zip(session.get_inputs(), inputs)}
        outputs = session.run(None, feeds)
        want = next(o for o in outputs
                    if isinstance(o, np.ndarray) and o.dtype == np.float32)
        error = close(result, want)
        if isinstance(error, str):
            print(f"{name:24s} {error}")
            worst = np.inf
        else:
            print(f"{name:24s} error {error:.1e} of the largest result, shape {result.shape}")
            worst = max(worst, error)
    print("all within 1e-5" if worst <= 1e-5 else "NOT all within 1e-5")


def export(net, args, path, dynamo, **keywords):
    import torch

    net.eval()
    with torch.no_grad():
        torch.onnx.export(net, args, path, dynamo=dynamo, **keywords)
    return path


def vision(options):
    import torch
    import torchvision

    torch.manual_seed(0)
    names = options.only.split(",") if options.only else [
        "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "vgg11", "efficientnet_b0",
        "squeezenet1_1", "shufflenet_v2_x1_0"]
    with tempfile.TemporaryDirectory() as folder:
        models = []
        for name in names:
            net = getattr(torchvision.models, name)(weights=None)
            # Statistics as training leaves them: others than mean 0 and variance 1.
            net.train()
            size = 96 if name != "vgg11" else 224  # Its pool wants a multiple of 7.
            with torch.no_grad():
                net(torch.randn(4, 3, size, size))
            x = torch.randn(2, 3, size, size)
            for kind, dynamo in (("ts", False), ("dynamo", True)):
                if options.exporter and options.exporter != kind:
                    continue
                path = os.path.join(folder, f"{name}.{kind}.onnx")
                keywords = {} if dynamo else {"dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"]}
                try:
                    export(net, (x,), path, dynamo, **keywords)
                except Exception as error:
                    print(f"{name}.{kind}: the exporter says {str(error)[:100]}")
                    continue
                models.append((f"{name}.{kind}", path, [x.numpy()]))
        compare(models)


def small_nets():
    import torch
    from torch import nn

    torch.manual_seed(1)

    class Encoder(nn.Module):
        def __init__(self, vocabulary=50, width=32, heads=4, length=16):
            super().__init__()
            self.words = nn.Embedding(vocabulary, width)
            self.places = nn.Embedding(length, width)
            layer = nn.TransformerEncoderLayer(width, heads, 64, activation="gelu", batch_first=True)
            self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(width, 3)

        def forward(self, ids):
            x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
            return self.head(self.body(x)[:, 0])

    class Block(nn.Module):
        def __init__(self, width, heads, length):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.register_buffer("mask", torch.tril(torch.ones(length, length)).bool())

        def forward(self, x):
            n, length, width = x.shape
            q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
            split = lambda t: t.view(n, length, self.heads, width // self.heads).transpose(1, 2)
            q, k, v = split(q), split(k), split(v)
            scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
            scores = scores.masked_fill(~self.mask[:length, :length], float("-inf"))
            y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
            x = x + self.out(y)
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Decoder(nn.Module):
        def __init__(self, vocabulary=40, width=24, heads=3, length=12):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.h = nn.ModuleList([Block(width, heads, length) for _ in range(2)])
            self.ln_f = nn.LayerNorm(width)
            self.lm_head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, ids):
            x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
            for block in self.h:
                x = block(x)
            return self.lm_head(self.ln_f(x))

    def jsc(*widths):
        layers, last = [nn.BatchNorm1d(16), nn.ReLU()], 16
        for width in widths:
            layers += [nn.Linear(last, width), nn.BatchNorm1d(width), nn.ReLU()]
            last = width
        return nn.Sequential(*layers, nn.Linear(last, 5))

    class Cnn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.conv2 = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(8 * 2 * 2, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.bn1(self.conv1(x))))
            return self.fc(torch.flatten(torch.relu(self.conv2(x)), 1))

    ids = torch.randint(0, 40, (3, 12))
    return [
        ("encoder", Encoder(length=12), ids, "ids"),
        ("decoder", Decoder(), ids, "ids"),
        ("jsc_tiny", jsc(8), torch.randn(6, 16), "x"),
        ("jsc_small", jsc(64, 32, 32), torch.randn(6, 16), "x"),
        ("cnn", Cnn(), torch.randn(3, 1, 8, 8), "x"),
    ]


def sklearn_mlp(path):
    from sklearn.neural_network import MLPClassifier
    from skl2onnx import to_onnx

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 2] > 0.5)
    net = MLPClassifier((8,), max_iter=60, random_state=0).fit(x, y)
    onnx.save(to_onnx(net, x[:1], options={id(net): {"zipmap": False}}, target_opset=15), path)
    return x[:5]


def write_nets(folder, kinds):
    models = []
    for name, net, x, argument in small_nets():
        net.train()
        if name.startswith("jsc") or name == "cnn":
            net(x)  # Other statistics than 0 and 1.
        for kind in kinds:
            path = os.path.join(folder, f"{name}.{kind}.onnx")
            dynamo = kind == "dynamo"
            keywords = {"input_names": [argument], "output_names": ["y"]}
            import torch
            if dynamo:
                keywords["dynamic_shapes"] = ({0: torch.export.Dim("n", min=1, max=1 << 20)},)
            else:
                keywords["dynamic_axes"] = {argument: {0: "n"}}
            try:
                export(net, (x,), path, dynamo, **keywords)
            except Exception as error:
                print(f"{name}.{kind}: the exporter says {str(error)[:200]}")
                continue
            models.append((f"{name}.{kind}", path, [x.numpy()]))
    path = os.path.join(folder, "sklearn_mlp.onnx")
    try:
        models.append(("sklearn_mlp", path, [sklearn_mlp(path)]))
    except Exception as error:
        print(f"sklearn: the exporter says {str(error)[:200]}")
    return models


def nets(options):
    with tempfile.TemporaryDirectory() as folder:
        compare(write_nets(folder, ("ts", "dynamo")))


def keras_nets(keras):
    layers = keras.layers

    def chain(shape, *rest):
        return keras.Sequential([keras.Input(shape), *rest])

    def residual():
        x = keras.Input((16,))
        y = layers.Add()([x, layers.Dense(16, activation="elu")(x)])
        y = layers.Concatenate()([y, layers.Dense(4, activation="tanh")(y)])
        return keras.Model(x, layers.Dense(5)(layers.LayerNormalization()(y)))

    def attention():
        x = keras.Input((6, 16))
        y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
        return keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))

    def activations():
        x = keras.Input((16,))
        names = ("relu relu6 elu selu softplus softsign sigmoid hard_sigmoid hard_silu tanh silu mish exponential "
                 "log_softmax softmax leaky_relu").split()
        y = layers.Dense(8)(x)
        return keras.Model(x, layers.Concatenate()([layers.Activation(name)(y) for name in names]))

    return {
        "mlp": chain((16,), layers.BatchNormalization(), layers.Dense(32, activation="relu"), layers.Dropout(0.1),
                     layers.Dense(5, activation="softmax")),
        "cnn": chain((28, 28, 1), layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
                     layers.BatchNormalization(), layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
                     layers.ReLU(6.0), layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D(), layers.Dense(10)),
        "conv1d": chain((20, 6), layers.Conv1D(8, 3, padding="causal", activation="swish"), layers.MaxPooling1D(),
                        layers.GlobalMaxPooling1D(), layers.Dense(3)),
        "transposed": chain((8, 8, 3), layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
                            layers.UpSampling2D(2), layers.ZeroPadding2D(1), layers.Conv2D(2, 3)),
        "residual": residual(), "attention": attention(), "activations": activations(),
    }


def from_keras(options):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf
    import tf2onnx

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cases, wants = [], {}
        for name, net in keras_nets(keras).items():
            for weight in net.weights:
                if "moving" in weight.path:
                    weight.assign(rng.uniform(0.5, 2, weight.shape))
            x = rng.normal(size=(5,) + net.input_shape[1:]).astype(np.float32)
            signature = [tf.TensorSpec([None] + list(x.shape[1:]), x.dtype, name="x")]
            function = tf.function(lambda rows, net=net: net(rows, training=False), input_signature=signature)
            path = os.path.join(folder, name + ".onnx")
            tf2onnx.convert.from_function(function, input_signature=signature, opset=options.opset, output_path=path)
            cases.append((path, [x]))
            wants[name] = np.asarray(net(x))
        for (name, want), result in zip(wants.items(), run(cases, folder)):
            error = close(result, want)
            print(f"{name:24s} {error if isinstance(error, str) else f'{error:.1e} of the largest result'}")


def constant(model, name):
    return next(onnx.numpy_helper.to_array(i) for i in model.graph.initializer if i.name == name)


def each_node(options, rows):
    """ONNX Runtime's codes and numbers of each node beside those of our integer run, in steps."""
    import onnxruntime as ort

    model = onnx.load(options.file)
    made = {name: node for node in model.graph.node for name in node.output}
    last = model.graph.output[0].name
    for name in made:
        if name != last:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), settings)
    names = [o.name for o in session.get_outputs()]
    steps = steps_of(model, made)
    differ, apart = 0, {}  # By node: how far, and of what.
    # As many rows at once as there is room for all their values.
    at_once = max(1, min(2000, 200_000 // rows[0].size))
    for block in np.array_split(rows, -(-len(rows) // at_once)):
        theirs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: block})))
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out0.npy")
            ours = run([(options.net, [block])], folder)[0]
            if isinstance(ours, str):
                print(ours)
                return
            ours = {path[len(out) + 1:-4]: np.load(path) for path in glob.glob(out + ".*.npy")}
            differ += int(np.sum(theirs[last].argmax(1) != np.load(out).argmax(1)))
        for node, numbers in ours.items():
            codes = node + ".codes"
            if node in theirs:
                step = steps.get(node)
                size = step or max(np.abs(numbers).max(), 1e-30)
                far, unit = np.abs(theirs[node] - numbers).max() / size, "steps" if step else "of the largest"
            elif codes in theirs:
                scale = float(constant(model, scale_of(model, made, codes)))
                zero = int(constant(model, zero_of(model, made, codes)))
                want = np.rint(np.clip(numbers / scale, -2**30, 2**30)) + zero
                far = np.abs(theirs[codes].astype(np.int64) - np.clip(want, *ends(model, made, codes))).max()
                unit = "codes"
            else:
                continue
            apart[node] = max(far, apart.get(node, (0, ""))[0]), unit
    print(f"{differ} of {len(rows)} rows in another class than in our integer run")
    for node, (far, unit) in sorted(apart.items()):
        print(f"  {node:24s} {far:.1e} {unit} apart at most")
    worst = max(far for far, _ in apart.values())
    print(f"{len(apart)} nodes, each within one step" if worst <= 1 else "NOT each node within one step")


def steps_of(model, made):
    """The step that a value is rounded to by who reads it."""
    steps = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            source = node.input[0]
            if source in made and made[source].op_type == "Clip":
                source = made[source].input[0]
            steps[source] = float(constant(model, node.input[1]))
    return steps


def source_of(made, codes):
    """The node whose scales those of the codes are: what moves or cuts codes keeps them."""
    node = made[codes]
    while node.op_type not in ("QuantizeLinear", "QLinearConv", "QGemm"):
        node = made[node.input[0]]
    return node


def scale_of(model, made, codes):
    node = source_of(made, codes)
    return node.input[{"QuantizeLinear": 1, "QLinearConv": 6, "QGemm": 7}[node.op_type]]


def zero_of(model, made, codes):
    node = source_of(made, codes)
    return node.input[{"QuantizeLinear": 2, "QLinearConv": 7, "QGemm": 8}[node.op_type]]


def ends(model, made, codes):
    """The least and largest code there may be: of the type, or of a Clip on the way."""
    info = np.iinfo(constant(model, zero_of(model, made, codes)).dtype)
    least, most = info.min, info.max
    node = made[codes]
    while node.op_type not in ("QuantizeLinear", "QLinearConv", "QGemm"):
        if node.op_type == "Clip":
            if len(node.input) > 1 and node.input[1]:
                least = max(least, int(constant(model, node.input[1])))
            if len(node.input) > 2:
                most = min(most, int(constant(model, node.input[2])))
        node = made[node.input[0]]
    return least, most


def exported(options):
    """ONNX's checker, and how many rows ONNX Runtime puts in another class than we do."""
    import onnxruntime as ort

    model = onnx.load(options.file)
    full = all(o.domain in ("", "ai.onnx") for o in model.opset_import)
    onnx.checker.check_model(model, full_check=full)
    for entry in model.metadata_props:
        print(f"{entry.key}: {entry.value}")
    levels = ort.GraphOptimizationLevel
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    count = options.count or 20000
    rows = np.random.default_rng(0).normal(size=[count] + shape).astype(np.float32)
    if options.rows:
        rows = np.load(options.rows).astype(np.float32)
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
        settings = ort.SessionOptions()
        settings.graph_optimization_level = level
        session = ort.InferenceSession(options.file, settings)
        only = session.get_inputs()[0]
        with tempfile.TemporaryDirectory() as folder:
            ours = run([(options.file, [rows])], folder)[0]
        if isinstance(ours, str):
            print(ours)
            return
        theirs = session.run(None, {only.name: rows})[0]
        differ = int(np.sum(ours.argmax(1) != theirs.argmax(1)))
        print(f"{level}: {differ} of {len(rows)} rows in another class than read back and simulated, "
              f"results within {close(ours, theirs):.1e}")
    if options.net:
        each_node(options, rows)


def netron(options):
    """Whether Netron's page of the file shows all its kinds of ops, in headless Chromium."""
    import http.server
    import threading

    import netron as viewer

    model = onnx.load(options.file)
    host, port = viewer.start(options.file, browse=False)

    class Door(http.server.BaseHTTPRequestHandler):
        """Answers the viewer's question for consent, by a cookie, before the page asks."""

        def do_GET(self):
            self.send_response(302)
            self.send_header("Set-Cookie", "consent=1; path=/")
            self.send_header("Location", f"http://localhost:{port}/")
            self.end_headers()

        def log_message(self, *unused):
            pass

    door = http.server.HTTPServer(("localhost", 0), Door)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    page = subprocess.run(
        ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom",
         f"http://localhost:{door.server_port}/"], capture_output=True, text=True, timeout=120).stdout
    door.shutdown()
    viewer.stop((host, port))
    ops = {node.op_type for node in model.graph.node}
    missing = [op for op in sorted(ops) if f">{op}<" not in page]
    print(f"Netron shows {len(ops) - len(missing)} of {len(ops)} kinds of ops" +
          (f"; not {', '.join(missing)}" if missing else ""))


def make(options):
    """Files with their inputs and ONNX Runtime's results, for tests that need no Python."""
    import onnxruntime as ort

    os.makedirs(options.folder, exist_ok=True)
    for name, path, inputs in write_nets(options.folder, ("ts", "dynamo")):
        drop_stack_traces(path)
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        feeds = {i.name: a for i, a in zip(session.get_inputs(), inputs)}
        want = next(o for o in session.run(None, feeds)
                    if isinstance(o, np.ndarray) and o.dtype == np.float32)
        np.save(os.path.join(options.folder, name + ".in.npy"), inputs[0])
        np.save(os.path.join(options.folder, name + ".out.npy"), want)
        if name == "encoder.dynamo":
            write_tokens(options.folder, session)


def drop_stack_traces(path):
    """Takes out where each node was made, as the exporter saw it: folders of the machine that wrote the file."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def write_tokens(folder, session):
    """Rows of ids for the encoder, their classes those that ONNX Runtime gives; one id too many."""
    x = np.random.default_rng(0).integers(0, 50, (60, 12))
    y = session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)
    np.savez_compressed(os.path.join(folder, "tokens.npz"), x=x, y=y)
    x[7, 3] = 50
    np.savez_compressed(os.path.join(folder, "tokens_bad.npz"), x=x, y=y)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbose", action="store_true")
    actions = parser.add_subparsers(required=True)
    actions.add_parser("nodes").set_defaults(run=nodes)
    action = actions.add_parser("vision")
    action.add_argument("--only", help="names between commas")
    action.add_argument("--exporter", choices=["ts", "dynamo"])
    action.set_defaults(run=vision)
    actions.add_parser("nets").set_defaults(run=nets)
    action = actions.add_parser("keras")
    action.add_argument("--opset", type=int, default=15)
    action.set_defaults(run=from_keras)
    action = actions.add_parser("exported")
    action.add_argument("file")
    action.add_argument("--net", help="the checkpoint: compares each node with its integer run")
    action.add_argument("--count", type=int, help="how many random rows, where 20,000 are too many")
    action.add_argument("--rows", help="a .npy file of rows in place of random ones")
    action.set_defaults(run=exported)
    action = actions.add_parser("netron")
    action.add_argument("file")
    action.set_defaults(run=netron)
    action = actions.add_parser("make")
    action.add_argument("folder")
    action.set_defaults(run=make)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
