import json
import logging
import os
import pathlib
import shutil
import signal
import threading
import time

import mase
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = {"dataset": {"name": "jsc-sim", "rows": 3000}, "max_epochs": 1, "batch_size": 256}
INTEGER = {"quantize": {"linear": {"config": "integer 8/4"}}}


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
    report = mase.search(checkpoint, config={"dataset": SMALL["dataset"]}, search=search)
    assert report["action"] == "search" and report["status"] == "ok"


def test_explain_writes_nothing(checkpoint):
    said = []
    mase.explain(checkpoint, "jsc", passes=INTEGER, show=said.append)
    assert "seq_blocks_2" in "".join(said) and not pathlib.Path("mase_output").exists()


def test_export_writes_a_file(checkpoint):
    mase.export("onnx", checkpoint, "net.onnx")
    assert [n.op for n in mase.load("net.onnx").nodes][-3:-1] == ["linear", "relu"]
    with pytest.raises(mase.Error, match="rounds nothing"):
        mase.export("qdq", checkpoint, "net.qdq.onnx")


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
    with pytest.raises(ValueError, match="arguments: unknown key 'max_epocs'; did you mean 'max_epochs'"):
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


LONG = {"dataset": {"name": "jsc-sim", "rows": 100000}, "max_epochs": 1000000, "batch_size": 4}


def ending(seconds):
    """A function for `progress` that is told enough after a while."""
    start = time.monotonic()

    def progress(label, done, total, unit, detail):
        if time.monotonic() - start > seconds:
            raise RuntimeError("enough")

    return progress


def test_progress_is_told_and_what_it_raises_ends_the_run():
    calls = []

    def progress(label, done, total, unit, detail):
        calls.append((label, done, total, unit))
        if len(calls) == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        mase.train("jsc-tiny", config=LONG, progress=progress)
    assert all(call[0].startswith("epoch ") or call[0] == "validation" for call in calls)
    assert 0 <= calls[0][1] <= calls[0][2]


def test_control_c_ends_a_run_and_the_next_one_runs():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # What a shell's background ignores.
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mase.train("jsc-tiny", config=LONG, run_dir="stopped")
    timer.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert pathlib.Path("stopped", "last.safetensors").exists()
    assert mase.train("jsc-tiny", config=SMALL)["status"] == "ok"
    with pytest.raises(KeyboardInterrupt):  # Python has its signal back.
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(1)
    signal.signal(signal.SIGINT, before)


def test_other_threads_run_meanwhile():
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="enough"):
            mase.train("jsc-tiny", config=LONG, progress=ending(1))
    finally:
        done.set()
        thread.join()
    assert len(ticks) >= 3


def in_thread(act):
    """What a function gives or raises in a thread of its own, once joined."""
    results = []

    def run():
        try:
            results.append(act())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_what_one_thread_raises_ends_no_run_of_another():
    thread, ended = in_thread(lambda: mase.train("jsc-tiny", config=LONG, progress=ending(0.3)))
    report = mase.train("jsc-tiny", config={**LONG, "max_epochs": 3}, run_dir="whole")
    thread.join()
    assert [str(error) for error in ended] == ["enough"] and report["status"] == "ok"
    # And the other way round.
    thread, reports = in_thread(lambda: mase.train("jsc-tiny", config={**LONG, "max_epochs": 3}, run_dir="beside"))
    with pytest.raises(RuntimeError, match="enough"):
        mase.train("jsc-tiny", config=LONG, progress=ending(0.3))
    thread.join()
    assert reports[0]["status"] == "ok"


def test_control_c_is_the_main_threads():
    thread, reports = in_thread(lambda: mase.train("jsc-tiny", config={**LONG, "max_epochs": 3}, run_dir="beside"))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mase.train("jsc-tiny", config=LONG)
    thread.join()
    assert reports[0]["status"] == "ok"


def test_what_logging_raises_while_a_net_is_loaded_ends_that_alone(caplog):
    class Full(logging.Handler):
        def handle(self, record):
            raise OSError("the disk is full")

    log = logging.getLogger("mase")
    handler = Full()
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, logger="mase"), pytest.raises(OSError, match="full"):
            mase.load("jsc-tiny", "jsc-sim")
    finally:
        log.removeHandler(handler)
    assert mase.train("jsc-tiny", config=SMALL)["status"] == "ok"


def test_two_threads_at_once_write_what_each_writes_alone(checkpoint):
    def transform(run_dir, **passes):
        return lambda: mase.transform(checkpoint, "jsc", passes=passes, run_dir=run_dir)

    first = {"quantize": {"linear": {"config": "integer 8/4"}}}
    second = {"quantize": {"linear": {"config": "minifloat_ieee 6/3"}}}
    alone = [transform("alone/1", **first)(), transform("alone/2", **second)()]
    for _ in range(3):
        shutil.rmtree("both", ignore_errors=True)
        threads = [in_thread(transform("both/1", **first)), in_thread(transform("both/2", **second))]
        for (thread, both), want in zip(threads, alone):
            thread.join()
            assert both[0]["metrics"] == want["metrics"]
            written = [path for path in pathlib.Path(want.directory).rglob("*") if path.suffix in (".safetensors", ".csv")]
            assert len(written) >= 3
            for path in written:
                same = pathlib.Path(both[0].directory, path.relative_to(want.directory))
                assert same.read_bytes() == path.read_bytes(), path


@pytest.fixture
def bad():
    """A plugin of somebody else, with passes that do what they must not (mase/plugin/testdata/fixture.cc)."""
    pathlib.Path("others").mkdir()
    return shutil.copy(ROOT / "bazel-bin" / "mase" / "plugin" / "testdata" / "fixture.so", "others/bad.so")


def test_plugins_run_in_processes_of_their_own(checkpoint, bad):
    def run(**passes):
        return mase.transform(checkpoint, "jsc", passes=passes, plugins=[bad], isolation="process", evaluate=False)

    for name, said in [("crashes", "crashed: SIGSEGV"), ("exits", "exit"), ("aborts", "SIGABRT")]:
        with pytest.raises(mase.Error, match=said):
            run(**{name: {}})
    counts = next(one for one in run(reaches_out={})["passes"] if one["name"] == "reaches_out")["counts"]
    del counts["locale"]  # Which the process may know.
    assert counts == {"network": 0, "write": 0, "read": 0, "fork": 0, "kill": 0, "secret": 0}
    assert run(renames={}).net.name == "renamed"


def test_plugins_lie_where_they_may(checkpoint, bad):
    def run(folder):
        return mase.transform(
            checkpoint, "jsc", passes={"renames": {}}, plugins=[bad], plugin_dirs=[folder], evaluate=False)

    with pytest.raises(mase.Error, match="plugins must lie in /usr"):
        run("/usr")
    assert run("others")["settings"]["plugin_dirs"] == [os.path.abspath("others")]
