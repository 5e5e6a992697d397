"""The actions of `ch` as functions: transform, train, test, search, sweep, explain, export.

Each takes a net, a data set and settings, makes a run directory as `ch` does, and returns what is in its summary.json.
"""
from __future__ import annotations

import html
import json
import os
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from mase import _mase, errors
from mase.net import Graph, Net, _message, _plain, _settings_of, load

__all__ = ["Progress", "Report", "explain", "export", "search", "sweep", "test", "train", "transform"]

Data = Union[str, "os.PathLike[str]", None]
Config = Union[str, "os.PathLike[str]", Mapping[str, Any], None]
# Called eight times a second at most: label ("epoch 3/20"), done, total (0: unknown), unit ("batch"), detail
# ("loss 0.913 acc 0.671"). What it raises ends the run and comes out of it.
Progress = Callable[[str, int, int, str, str], None]
Show = Callable[[str], None]


class Report(dict[str, Any]):
    """What a run did: the keys of its summary.json (proto/report.proto), and where its files are."""

    directory: str = ""

    @property
    def net(self) -> Graph:
        """The net that the run made: what the passes made of it, or the best one of a training."""
        return load(self.directory)

    def metric(self, name: str, stage: str | None = None) -> float:
        """A figure by name, of the last stage that has it: "accuracy", "loss"."""
        found = [m for m in self["metrics"] if m["name"] == name and stage in (None, m["stage"])]
        if not found:
            known = ", ".join(sorted({m["name"] for m in self["metrics"]}))
            raise KeyError(f"no metric {name!r}; there are {known}")
        return float(found[-1]["value"])

    def table(self, name: str, of: str | None = None) -> list[dict[str, Any]]:
        """The rows of a table by its name, the first of them or that of a pass: `table("nodes", "quantize")`."""
        holders = [self, *self.get("passes", ())]
        tables = [t for holder in holders if of in (None, holder.get("name")) for t in holder.get("tables", ())]
        for table in tables:
            if table["name"] == name:
                names = [column["name"] for column in table["columns"]]
                return [dict(zip(names, row)) for row in table["rows"]]
        raise KeyError(f"no table {name!r}; there are {', '.join(sorted(t['name'] for t in tables))}")

    def _repr_html_(self) -> str:
        rows = [("action", self.get("action")), ("status", self.get("status")), ("directory", self.directory)]
        rows += [(f"{m['stage']} {m['name']}", m["value"]) for m in self.get("metrics", ())]
        cells = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows)
        return f"<table>{cells}</table>"


def _act(
    name: str,
    net: Net | None,
    data: Data,
    config: Config,
    settings: Mapping[str, Any],
    show: Show | None,
    progress: Progress | None,
    word: str = "",
) -> Report:
    given = dict(settings)
    if net is not None:
        given.update(_settings_of(net))
    if data is not None:
        given["dataset"] = os.fspath(data)
    is_file = isinstance(config, (str, os.PathLike))
    keywords = json.dumps(given, default=_plain, allow_nan=False)
    document, directory, code, exit_code, message = _mase.act(
        name,
        word,
        [],
        os.fspath(config) if isinstance(config, (str, os.PathLike)) else "",
        "" if is_file or config is None else json.dumps(config, default=_plain, allow_nan=False),
        keywords,
        [f"mase.{name}", *([word] if word else []), keywords],
        _message,
        show,
        progress,
    )
    report = Report(json.loads(document) if document else {})
    report.directory = directory
    if code != "OK":
        error = errors.error_of(code, exit_code, message)
        setattr(error, "report", report if document else None)
        raise error
    return report


def transform(
    net: Net | None = None,
    data: Data = None,
    *,
    passes: Mapping[str, Any] | None = None,
    config: Config = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Runs passes on a net and measures it before and after: `ch transform`.

        >>> report = mase.transform(
        ...     "best.safetensors", "jsc", passes={"quantize": {"linear": {"config": "integer 8/4"}}})
        >>> report.metric("accuracy"), report.net
    """
    if passes is not None:
        settings["passes"] = passes
    return _act("transform", net, data, config, settings, show, progress)


def explain(
    net: Net | None = None,
    data: Data = None,
    *,
    passes: Mapping[str, Any] | None = None,
    config: Config = None,
    show: Show | None = None,
    **settings: Any,
) -> Report:
    """What `transform` would do to each node, by which setting: `ch explain`. Writes nothing."""
    if passes is not None:
        settings["passes"] = passes
    return _act("transform", net, data, config, {**settings, "dry_run": True}, show, None)


def train(
    net: Net | None = None,
    data: Data = None,
    *,
    passes: Mapping[str, Any] | None = None,
    config: Config = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Trains a net, after passes if there are any, and tests the best epoch: `ch train`.

        >>> report = mase.train("jsc-tiny", "jsc-sim", max_epochs=3, batch_size=256, learning_rate=1e-2)
        >>> report.metric("accuracy"), report.net, report.directory
    """
    if passes is not None:
        settings["passes"] = passes
    return _act("train", net, data, config, settings, show, progress)


def test(
    net: Net | None = None,
    data: Data = None,
    *,
    config: Config = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Measures a trained or transformed net: `ch test`."""
    return _act("test", net, data, config, settings, show, progress)


def search(
    net: Net | None = None,
    data: Data = None,
    *,
    passes: Mapping[str, Any] | None = None,
    config: Config = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Finds the best formats, widths or other settings of a net: `ch search`.

    `search` is the section of that name (docs/search.md); `trials`, `jobs`, `sampler`, `apply_best` are flags of `ch`.
    """
    if passes is not None:
        settings["passes"] = passes
    return _act("search", net, data, config, settings, show, progress)


def sweep(
    action: str,
    net: Net | None = None,
    data: Data = None,
    *,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    config: Config = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Runs "train", "transform" or "test" for many values of any settings: `ch sweep`. The result is sweep.json.

        >>> mase.sweep("train", "jsc-tiny", "jsc-sim", sweep={"batch_size": [64, 256]}, jobs=2)["points"]
    """
    if sweep is not None:
        settings["sweep"] = [f"{key}={_values(key, values)}" for key, values in sweep.items()]
    return _act("sweep", net, data, config, settings, show, progress, word=action)


def _values(key: str, values: Sequence[Any]) -> str:
    texts = [v if isinstance(v, str) else json.dumps(v, default=_plain) for v in values]
    if any(";" in text for text in texts):
        raise errors.InvalidArgumentError(f"sweep of {key}: values have no ';'")
    return ";".join(texts) if any("," in text for text in texts) else ",".join(texts)


def export(form: str, net: Net, out: str | os.PathLike[str], *, show: Optional[Show] = None, **settings: Any) -> None:
    """Writes a net as "onnx", "qdq", "qonnx" or "c", reads it back and compares: `ch export`."""
    _act("export", net, None, None, {**settings, "out": os.fspath(out)}, show, None, word=form)
