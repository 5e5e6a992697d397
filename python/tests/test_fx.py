"""Nets of PyTorch compute what PyTorch computes."""
import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import mase  # noqa: E402
import mase.fx  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def check(module, *inputs, name=""):
    """The net of the module gives its results, also for another number of rows."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    for buffer_name, buffer in module.named_buffers():
        if buffer_name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif buffer_name.endswith("running_mean"):
            buffer.normal_()
    module.eval()
    net = mase.fx.from_torch(module, inputs if len(inputs) > 1 else inputs[0], name=name)
    for rows in (inputs[0].shape[0], 3):
        some = [x[:1].repeat(rows, *[1] * (x.dim() - 1)) + (0 if x.dtype == torch.int64 else torch.randn(rows, *x.shape[1:]))
            for x in inputs]
        with torch.no_grad():
            want = module(*some).numpy()
        got = net.run(*some, execution="float")
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(np.abs(want).max(), 1e-30))
    return net


def test_a_chain_of_layers():
    module = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.2),
        nn.Linear(32, 5, bias=False), nn.Softmax(dim=-1))
    net = check(module, torch.randn(8, 16), name="chain")
    assert [n.op for n in net.nodes][1:-1] == ["batch_norm1d", "relu", "linear", "gelu", "dropout", "linear", "softmax"]
    assert net.name == "chain" and list(net.tensors) == [n for n, _ in module.state_dict().items()]


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.norm2 = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8 * 4, 7)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        y = F.silu(self.norm2(self.conv2(x)))
        x = F.max_pool2d(x + y, 2, 2)
        x = F.adaptive_avg_pool2d(x * 0.5 + 1, (2, 2))
        return self.fc(x.view(x.size(0), -1))


def test_a_cnn_with_functions_numbers_and_a_residual():
    check(Cnn(), torch.randn(4, 3, 16, 16))


class Attention(nn.Module):
    """A causal layer of a transformer, by hand."""

    def __init__(self, width=16, heads=4, tokens=50):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.place = nn.Parameter(torch.randn(1, 32, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.heads = heads
        self.register_buffer("mask", torch.full((32, 32), float("-inf")).triu(1))

    def forward(self, ids):
        length = ids.shape[1]
        x = self.embed(ids) + self.place[:, :length]
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = [t.reshape(t.shape[0], length, self.heads, t.shape[2] // self.heads).transpose(1, 2) for t in (q, k, v)]
        scores = (q @ k.transpose(-2, -1)) / q.size(-1) ** 0.5 + self.mask[:length, :length]
        x = x + self.out((scores.softmax(dim=-1) @ v).permute(0, 2, 1, 3).flatten(2))
        return (x + self.mlp(self.norm2(x))).mean(dim=1)


def test_a_transformer_of_tokens():
    net = check(Attention(), torch.randint(0, 50, (4, 12)))
    assert net.nodes[0].dtype == "int64"


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 16))
        self.bias = nn.Parameter(torch.randn(6))

    def forward(self, x):
        h = x.view(x.shape[0], 4, 2, 2)
        h = F.scaled_dot_product_attention(h, h, h, is_causal=True)
        x = torch.cat([h.flatten(1), x[:, :3], x[..., -1].unsqueeze(-1)], dim=1)[:, 4:]
        x = torch.stack([x, -x], dim=1)[:, 0]
        return torch.clamp(F.linear(x, self.weight, bias=self.bias), -1.0, 2.0) - (x ** 2).sum(1, keepdim=True)


def test_attention_slices_and_weights_of_the_module():
    check(Fused(), torch.randn(5, 16))


def test_attention_with_one_tensor_for_all_and_by_keywords():
    class Same(nn.Module):
        def forward(self, x):
            y = F.scaled_dot_product_attention(x, x, x)
            return F.scaled_dot_product_attention(query=y, value=x, key=x, is_causal=True)

    check(Same(), torch.randn(4, 3, 8))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 4)])
@pytest.mark.parametrize("function", [nn.Softmax(), nn.LogSoftmax(), F.softmax, F.log_softmax], ids=lambda f: str(f)[:16])
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_softmax_without_an_axis_takes_that_of_pytorch(function, shape):
    class Implicit(nn.Module):
        def __init__(self):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    check(Implicit(), torch.randn(shape))


def test_a_module_in_training_is_read_as_for_inference_and_stays_as_it_is():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.ReLU(inplace=True)
            self.norm = nn.BatchNorm1d(16)
            self.frozen = nn.BatchNorm1d(16).eval()

        def forward(self, x):
            x = self.frozen(self.norm(self.first(x)))
            return F.dropout(x, 0.5, training=self.training) if self.training else x * 2

    module = Branches().train()
    module.frozen.eval()
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    x = torch.randn(8, 16)
    before = x.clone()
    net = mase.fx.from_torch(module, x)
    assert (x == before).all()
    assert module.training and module.norm.training and not module.frozen.training
    assert all((tensor == state[name]).all() for name, tensor in module.state_dict().items())
    with torch.no_grad():
        want = module.eval()(x.clone()).numpy()
    np.testing.assert_allclose(net.run(x, execution="float"), want, rtol=1e-6, atol=1e-6)


def test_two_inputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return torch.where(x * y, x, y) if False else torch.maximum(x, y).exp() + torch.sqrt(torch.abs(x)) * y.sigmoid()

    check(Two(), torch.randn(4, 3), torch.randn(4, 3))


@pytest.mark.parametrize("layer, shape", [
    (nn.Conv1d(4, 6, 3, dilation=2), (2, 4, 12)), (nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1), (2, 4, 5, 5)),
    (nn.AvgPool2d(3, 2, padding=1), (2, 3, 9, 9)), (nn.MaxPool1d(2), (2, 3, 9)), (nn.AdaptiveMaxPool2d(2), (2, 3, 9, 9)),
    (nn.ELU(0.7), (3, 5)), (nn.LeakyReLU(0.2), (3, 5)), (nn.Hardswish(), (3, 5)), (nn.Hardtanh(-0.5, 0.6), (3, 5)),
    (nn.Softplus(2), (3, 5)), (nn.RMSNorm(5), (3, 5)), (nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 4)),
    (nn.LogSoftmax(1), (3, 5)), (nn.SELU(), (3, 5)), (nn.ReLU6(), (3, 5)), (nn.Flatten(), (3, 2, 2)), (nn.Mish(), (3, 5)),
], ids=lambda value: type(value).__name__)
def test_layers(layer, shape):
    if isinstance(layer, nn.Mish):
        with pytest.raises(ValueError, match="node 'layer': module 'layer' is a Mish, for which there is no op"):
            mase.fx.from_torch(Only(layer), torch.randn(shape))
        return
    check(Only(layer), torch.randn(shape))


class Only(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("layer, said", [
    (nn.Conv2d(3, 3, 3, padding="same"), "padding='same'"), (nn.Conv2d(3, 3, 3, padding_mode="reflect"), "padding_mode"),
    (nn.MaxPool2d(2, dilation=2), "dilation=2"), (nn.LSTM(4, 4), "is a LSTM"), (nn.MultiheadAttention(4, 2), "Multihead"),
], ids=lambda value: type(value).__name__)
def test_what_an_op_does_not_know_is_refused(layer, said):
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_module("layer", (x,)))
    shape = (2, 3, 8, 8) if not isinstance(layer, (nn.LSTM, nn.MultiheadAttention)) else (2, 3, 4)
    traced = torch.fx.GraphModule(Only(layer), graph)
    traced.layer.forward = lambda x: x
    with pytest.raises(ValueError, match=said) as caught:
        mase.fx.from_torch(traced, torch.randn(shape))
    assert str(caught.value).startswith("node 'layer': ")


def test_a_function_without_an_op_is_refused():
    class Sorted(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x).real

    with pytest.raises(ValueError, match="node 'fft_fft': function 'fft_fft'"):
        mase.fx.from_torch(Sorted(), torch.randn(2, 4))


def test_a_net_of_torch_is_quantized_and_trained():
    module = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 5)).eval()
    net = mase.fx.from_torch(copy.deepcopy(module), torch.randn(8, 16), name="mine")
    report = mase.train(net, "jsc-sim", config={"dataset": {"rows": 3000}}, max_epochs=1, learning_rate=1e-2)
    quantized = mase.transform(report.net, "jsc-sim", passes={"quantize": {"linear": {"config": "integer 8/4"}}})
    assert quantized.net["_2"].type == "LinearInteger"
