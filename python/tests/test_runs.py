import json
import logging
import os
import pathlib
import signal
import threading

import mase
import pytest

SMALL = {"dataset": {"name": "jsc-sim", "rows": 3000}, "max_epochs": 1, "batch_size": 256}
INTEGER = {"quantize": {"linear": "integer 8/4"}}


def test_transform_measures_before_and_after(checkpoint):
    report = mase.transform(checkpoint, "jsc", passes=INTEGER)
    assert report["status"] == "ok" and report.metric("accuracy", "original") == pytest.approx(0.717)
    assert report.metric("accuracy") == pytest.approx(0.709)
    assert report.net["seq_blocks_2"].formats == {
        "data_in": "integer 8/4", "weight": "integer 8/4", "bias": "integer 8/4"}
    assert report.net["seq_blocks_2"].type == "LinearInteger"
    assert {row["node"]: row["decision"] for row in report.table("nodes", "quantize")}["seq_blocks_2"] == "quantized"
    with pytest.raises(KeyError, match="no table 'nods'; there are nodes"):
        report.table("nods", "quantize")
    summary = json.loads(pathlib.Path(report.directory, "summary.json").read_text())
    assert dict(report) == summary
    assert "accuracy" in report._repr_html_()


def test_a_pass_leaves_metadata():
    report = mase.transform("jsc-tiny", "jsc", passes={"add_common_metadata": {}}, evaluate=False)
    common = report.net["seq_blocks_2"].metadata["common"]
    assert common["mase_op"] == "linear" and common["args"][0]["name"] == "data_in_0"


def test_a_config_may_be_a_file_or_a_dict(share):
    file = share / "testdata" / "configs" / "jsc_tiny_integer.toml"
    by_file = mase.transform(config=file, seed=7)
    by_dict = mase.transform(config={"model": "jsc-tiny", "dataset": "jsc", "seed": 7, "passes": INTEGER},
        load=str(share / "testdata" / "checkpoints" / "jsc-tiny.safetensors"))
    assert by_file["seed"] == 7
    assert by_file.metric("accuracy") == by_dict.metric("accuracy")


def test_training_gives_the_best_net_and_test_measures_it():
    report = mase.train("jsc-tiny", config=SMALL, learning_rate=1e-2)
    assert report["action"] == "train" and 0.2 < report.metric("accuracy") < 1
    again = mase.test(report.net, config=SMALL)
    assert again.metric("accuracy") == report.metric("accuracy")


def test_a_net_in_memory_is_written_first(checkpoint):
    net = mase.load(checkpoint)
    net.set_tensor("seq_blocks.2.bias", [9, 0, 0, 0, 0])
    report = mase.transform(net, "jsc", passes={"summary": {}})
    assert report["model"]["loaded_from"].startswith(os.path.abspath("mase_output/nets/jsc-tiny-"))
    assert report.metric("accuracy") < 0.5
    assert (report.net.tensors["seq_blocks.2.bias"] == [9, 0, 0, 0, 0]).all()


def test_a_sweep_is_one_table():
    report = mase.sweep("train", "jsc-tiny", config=SMALL, sweep={"batch_size": [64, 256]}, jobs=2)
    assert [point["settings"] for point in report["points"]] == [{"batch_size": 64}, {"batch_size": 256}]
    assert all(0 < point["metrics"]["accuracy"] < 1 for point in report["points"])
    assert pathlib.Path(report.directory, "sweep.csv").exists()


def test_a_search_finds_a_point(checkpoint):
    search = {
        "search_space": {"name": "graph/quantize/mixed_precision_ptq", "setup": {"by": "name"}, "seed": {
            "default": {"config": {"name": [None]}},
            "seq_blocks_2": {"config": {"name": ["integer"], "data_in_width": [4, 8], "data_in_frac_width": [3],
                "weight_width": [4, 8], "weight_frac_width": [3], "bias_width": [8], "bias_frac_width": [3]}}}},
        "strategy": {"name": "optuna", "eval_mode": True,
            "sw_runner": {"basic_evaluation": {"data_loader": "val_dataloader", "num_samples": 512}},
            "hw_runner": {"average_bitwidth": {"compare_to": 32}},
            "setup": {"n_jobs": 1, "n_trials": 4, "timeout": 20000, "sampler": "grid", "sum_scaled_metrics": False},
            "metrics": {"accuracy": {"scale": 1.0, "direction": "maximize"},
                "average_bitwidth": {"scale": 0.2, "direction": "minimize"}}}}
    report = mase.search(checkpoint, "jsc", search=search)
    assert report["action"] == "search" and report["status"] == "ok"


def test_explain_writes_nothing(checkpoint):
    said = []
    mase.explain(checkpoint, "jsc", passes=INTEGER, show=said.append)
    assert "seq_blocks_2" in "".join(said) and not pathlib.Path("mase_output").exists()


def test_export_writes_a_file(checkpoint):
    mase.export("onnx", checkpoint, "net.onnx")
    assert [n.op for n in mase.load("net.onnx").nodes][-3:-1] == ["linear", "relu"]
    with pytest.raises(mase.Error, match="rounds nothing"):
        mase.export("qdq", checkpoint, "net.onnx")


def test_messages_go_to_logging(caplog):
    with caplog.at_level(logging.INFO, logger="mase"):
        mase.train("jsc-tiny", config=SMALL)
    assert "Initialising model 'jsc-tiny'..." in caplog.text


def test_tables_go_to_show(checkpoint):
    said = []
    mase.transform(checkpoint, "jsc", passes={"report_graph": {}}, show=said.append)
    assert any("seq_blocks_2" in text for text in said)


def test_nothing_is_printed(checkpoint, capfd):
    mase.transform(checkpoint, "jsc", passes=INTEGER)
    assert capfd.readouterr() == ("", "")


def test_wrong_settings_are_value_errors(checkpoint):
    with pytest.raises(ValueError, match="arguments: max_epocs.*max_epochs"):
        mase.train("jsc-tiny", "jsc-sim", max_epocs=3)
    with pytest.raises(ValueError, match="did you mean 'quantize'"):
        mase.transform(checkpoint, "jsc", passes={"quantise": {}})
    with pytest.raises(ValueError, match="config: batch_size"):
        mase.train("jsc-tiny", "jsc-sim", config={"batch_size": "many"})
    with pytest.raises(FileNotFoundError, match="nowhere.toml"):
        mase.transform(config="nowhere.toml")
    with pytest.raises(TypeError, match="is no setting"):
        mase.train("jsc-tiny", "jsc-sim", max_epochs=object())


def test_a_missed_goal_is_an_error_with_the_report(checkpoint):
    with pytest.raises(mase.GoalError, match="accuracy") as caught:
        mase.test(checkpoint, "jsc", goal="accuracy >= 0.99")
    assert caught.value.exit_code == 3
    assert caught.value.report["status"] == "missed" and caught.value.report.metric("accuracy") < 0.8


def test_a_run_directory_that_is_there_is_kept(checkpoint):
    mase.test(checkpoint, "jsc", run_dir="run")
    with pytest.raises(FileExistsError):
        mase.test(checkpoint, "jsc", run_dir="run")


LONG = {"dataset": {"name": "jsc-sim", "rows": 20000}, "max_epochs": 100000, "batch_size": 256}


def test_progress_is_told_and_what_it_raises_ends_the_run():
    calls = []

    def progress(label, done, total, unit, detail):
        calls.append((label, done, total, unit))
        if len(calls) == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        mase.train("jsc-tiny", config=LONG, progress=progress)
    assert calls[0][0].startswith("epoch 1") or "epoch" in calls[0][0]
    assert 0 <= calls[0][1] <= calls[0][2]


def test_control_c_ends_a_run_and_the_next_one_runs():
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mase.train("jsc-tiny", config=LONG, run_dir="stopped")
    timer.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert pathlib.Path("stopped", "last.safetensors").exists()
    assert mase.train("jsc-tiny", config=SMALL)["status"] == "ok"
    with pytest.raises(KeyboardInterrupt):  # Python has its signal back.
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(1)


def test_other_threads_run_meanwhile():
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    mase.train("jsc-tiny", config={**LONG, "max_epochs": 40})
    done.set()
    thread.join()
    assert len(ticks) >= 3
