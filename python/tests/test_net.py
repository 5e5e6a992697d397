import os
import pathlib

import mase
import numpy as np
import pytest


def test_a_net_by_name_has_nodes_shapes_and_tensors():
    net = mase.load("jsc-tiny", batch_size=8)
    assert [node.op for node in net.nodes] == ["placeholder", "batch_norm1d", "relu", "linear", "relu", "output"]
    linear = net["seq_blocks_2"]
    assert linear.shape == (8, 5) and linear.dtype == "float32" and linear.inputs == ["seq_blocks_1"]
    assert linear.attributes["in_features"] == 16 and linear.attributes["bias"] is True
    assert linear.parameters == {"weight": "seq_blocks.2.weight", "bias": "seq_blocks.2.bias"}
    assert linear.description == "Linear(in_features=16, out_features=5, bias=True)"
    assert net.tensors["seq_blocks.2.weight"].shape == (5, 16)
    assert net.parameter_count == 117 and len(net) == 6


def test_the_text_has_a_line_a_node_and_comes_back():
    net = mase.load("jsc-tiny", batch_size=8)
    text = str(net)
    assert "seq_blocks_2 = linear(seq_blocks_1, in_features=16, out_features=5)" in text
    again = mase.Graph.from_text(text)
    assert str(again) == text
    assert [(n.shape, n.dtype) for n in again.nodes] == [(n.shape, n.dtype) for n in net.nodes]
    assert repr(net) == "<mase.Graph jsc-tiny: 6 nodes, 117 parameters>"


def test_a_notebook_gets_a_picture():
    net = mase.load("jsc-tiny")
    assert net._repr_html_().startswith("<svg") and "BatchNorm1d" in net.svg()


def test_a_layer_list_is_a_net():
    net = mase.load("BN, ReLU, Linear 32, ReLU, Linear 5", input_shape=(16,), classes=5)
    assert net.nodes[-2].shape[1] == 5
    assert mase.load("resnet18", input_shape=(3, 64, 64), classes=7, batch_size=2).nodes[-1].inputs == ["fc"]


def test_a_checkpoint_is_a_net_with_its_weights(checkpoint):
    net = mase.load(checkpoint)
    same = mase.load("jsc-tiny", load=str(checkpoint))
    assert (net.tensors["seq_blocks.2.weight"] == same.tensors["seq_blocks.2.weight"]).all()
    assert not (net.tensors["seq_blocks.2.weight"] == mase.load("jsc-tiny").tensors["seq_blocks.2.weight"]).all()


def test_tensors_of_a_net_are_read_only_views():
    net = mase.load("jsc-tiny")
    weight = net.tensors["seq_blocks.2.weight"]
    assert not weight.flags.writeable and not weight.flags.owndata
    with pytest.raises(ValueError):
        weight[0] = 1
    before = weight.copy()
    net.set_tensor("seq_blocks.2.weight", np.zeros((5, 16)))
    assert (weight == before).all() and not net.tensors["seq_blocks.2.weight"].any()


def test_a_tensor_of_another_shape_is_refused():
    net = mase.load("jsc-tiny")
    with pytest.raises(mase.InvalidArgumentError, match=r"float32\[5, 16\], not float32\[2\]"):
        net.set_tensor("seq_blocks.2.weight", [1, 2])
    with pytest.raises(mase.NotFoundError, match="no tensor 'w'"):
        net.set_tensor("w", [1, 2])


def test_run_computes_the_net(checkpoint):
    net = mase.load(checkpoint)
    x = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    t = net.tensors
    norm = (x - t["seq_blocks.0.running_mean"]) / np.sqrt(t["seq_blocks.0.running_var"] + 1e-5)
    norm = np.maximum(norm * t["seq_blocks.0.weight"] + t["seq_blocks.0.bias"], 0)
    want = np.maximum(norm @ t["seq_blocks.2.weight"].T + t["seq_blocks.2.bias"], 0)
    np.testing.assert_allclose(net.run(x), want, rtol=1e-5, atol=1e-5)
    assert net.run(x[:0]).shape == (0, 5)
    with pytest.raises(mase.InvalidArgumentError, match=r"is \[7, 3\], and 7 rows of it are \[7, 16\]"):
        net.run(x[:, :3])
    with pytest.raises(ValueError, match="did you mean 'integer'"):
        net.run(x, execution="intege")


def test_settings_that_say_which_net_it_is_go_with_it_into_runs(checkpoint):
    net = mase.load("jsc-tiny", load=checkpoint, load_type="pl", batch_size=8)
    report = mase.transform(net, "jsc", passes={"summary": {}}, evaluate=False)
    assert report["settings"]["model"]["load_type"] == "pl" and report["settings"]["model"]["name"] == "jsc-tiny"
    assert report["settings"].get("batch_size", 128) == 128  # What a net is looked at with is none of them.


def test_the_result_that_an_onnx_file_is_loaded_for_goes_with_it_into_exports():
    # A classifier of scikit-learn with the results label and probabilities.
    file = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "onnx" / "sklearn_mlp.onnx"
    net = mase.load(file, output="probabilities")
    mase.export("onnx", net, "net.onnx")
    assert mase.load("net.onnx").nodes[-1].inputs == net.nodes[-1].inputs
    with pytest.raises(mase.Error, match="no result 'nix'"):
        mase.load(file, output="nix")


def test_save_and_load(checkpoint):
    net = mase.load(checkpoint)
    net.save("copy.safetensors")
    assert str(mase.load("copy.safetensors", batch_size=128)) == str(mase.load(checkpoint, batch_size=128))


def test_nodes_keep_their_net_alive():
    node = mase.load("jsc-tiny").nodes[3]
    assert node.name == "seq_blocks_2" and "Linear" in repr(node)


def test_what_there_is_not_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere.safetensors"):
        mase.load("nowhere.safetensors")
    with pytest.raises(ValueError, match="did you mean 'jsc-tiny'"):
        mase.load("jsc-tinny")
    with pytest.raises(ValueError, match="seq_blocks_2"):
        mase.load("jsc-tiny")["seq_blocks_22"]
    with pytest.raises(ValueError, match="arguments: unknown key 'batch_sise'; did you mean 'batch_size'"):
        mase.load("jsc-tiny", batch_sise=8)


def test_a_predictor_is_a_function(checkpoint):
    predict = mase.Predictor(checkpoint, execution="float", apply_recipe=False)
    assert predict.inputs == 16 and predict.outputs == 5
    x = np.random.default_rng(1).normal(size=(9, 16)).astype(np.float32)
    y = predict(x)
    assert y.shape == (9, 5) and (predict(x[4]) == y[4]).all()
    np.testing.assert_allclose(mase.Predictor(mase.load(checkpoint))(x), y, rtol=1e-5, atol=1e-5)
    assert not np.allclose(mase.Predictor(checkpoint)(x), y)  # Scaled as the training did.
    with pytest.raises(ValueError, match=r"\[9, 15\] is no rows of 16 numbers"):
        predict(x[:, 1:])
    with pytest.raises(FileNotFoundError):
        mase.Predictor("nowhere.safetensors")


def test_messages_are_text_that_a_terminal_may_get():
    name = os.fsdecode(b"no\xffwhere\x1b[31m.safetensors")  # Not UTF-8, and red from there on.
    with pytest.raises(FileNotFoundError, match=r"no\\xffwhere\\x1b\[31m\.safetensors"):
        mase.Predictor(name)
