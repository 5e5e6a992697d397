"""Pipelines as build actions and tests: docs/ci.md is their manual.

    load("@mase//mase/bazel:defs.bzl", "mase_pipeline_test", "mase_sweep", "mase_train", "mase_transform")

    mase_train(name = "trained", settings = {"model": "jsc-tiny", "dataset": "jsc-sim"})
    mase_transform(name = "int8", config = "int8.toml", net = ":trained")
    mase_sweep(name = "widths", base = "int8.toml", net = ":trained", grid = {"passes.quantize.linear.weight_width": ["4", "6", "8"]})
    mase_pipeline_test(name = "int8_test", config = "int8.toml", net = ":trained", goals = ["accuracy >= 0.7"])

A run is an action whose output is the run's directory. It writes no times, no host and no absolute paths
(`ch ... --reproducible`), so equal inputs give equal bytes, and caches hold them.
"""

load(":host.bzl", "MaseHostInfo")

MaseRunInfo = provider(
    doc = "What a run left.",
    fields = {"directories": "The directories of its runs, one for each point of a sweep: Files."},
)

_HOST = attr.label(
    default = Label("//mase/bazel:host"),
    providers = [MaseHostInfo],
)

# What every run can be told.
_RUN = {
    "data": attr.label_list(
        allow_files = True,
        doc = "Files that config and settings name: data, points, .h5. $(location :x) in a setting is the path of one.",
    ),
    "net": attr.label(
        allow_files = True,
        doc = "The net: a checkpoint, or another run.",
    ),
    "plugins": attr.label_list(
        allow_files = [".so"],
        doc = "Pass plugins to open.",
    ),
    "settings": attr.string_dict(doc = "Settings by path, as --set takes them; they win over the config's."),
    "threads": attr.int(
        default = 1,
        doc = "Threads of a run. They never change a byte; Bazel runs as many actions as there are cores.",
    ),
    "_host": _HOST,
}

_CONFIG = attr.label(
    allow_single_file = [".toml", ".json", ".textproto", ".pbtxt", ".txtpb"],
    doc = "The settings file. Paths in it are relative to it, as everywhere.",
)

def _plain(text, what):
    if "\n" in text or "\r" in text:
        fail("%s: no line breaks, please: %s" % (what, repr(text)))
    return text

def _located(ctx, text, kind):
    """$(location X) as the path that a run of this kind sees: "execpath" of actions, "rootpath" of tests."""
    if "$(location " not in text:
        return text
    targets = ctx.attr.data + ([ctx.attr.net] if ctx.attr.net else [])
    return ctx.expand_location(text.replace("$(location ", "$(%s " % kind), targets)

def _path(file, kind):
    return file.path if kind == "execpath" else file.short_path

def _net_file(ctx):
    if not ctx.attr.net:
        return None
    files = ctx.files.net
    if len(files) != 1:
        fail("net wants one checkpoint or one run, and %s is %d files" % (ctx.attr.net.label, len(files)))
    return files[0]

def _words(ctx, action, config, kind):
    """The words behind the program's name, but for those that say where results go."""
    words = [action]
    if config:
        words.append("--config=" + _path(config, kind))
    if _net_file(ctx):
        words.append("--load=" + _path(_net_file(ctx), kind))
    if ctx.files.plugins:
        # With a folder: files of the working directory are not opened by their bare names.
        words.append("--plugins=" + ",".join(["./" + _path(f, kind) for f in ctx.files.plugins]))
    for setting, value in ctx.attr.settings.items():
        words.append("--set=%s=%s" % (setting, _located(ctx, value, kind)))
    return [_plain(word, str(ctx.label)) for word in words]

def _inputs(ctx, config):
    return ([config] if config else []) + ctx.files.data + ctx.files.net

def _run(ctx, words, inputs, outputs, mnemonic, message, without = None):
    """One action of the host, by a worker where Bazel wants one.

    The file `without` of the run's directory is left out: its bytes are others each time."""
    host = ctx.attr._host[MaseHostInfo]
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    args.add_all(words, expand_directories = False)
    common = dict(
        inputs = inputs,
        outputs = outputs,
        mnemonic = mnemonic,
        progress_message = message,
        env = {"OMP_NUM_THREADS": str(ctx.attr.threads), "RUNFILES_DIR": host.runfiles},
    )
    if without:
        ctx.actions.run_shell(
            command = "\"$1\" \"$2\" && rm -f \"$3\"",
            arguments = [host.program.executable.path, args, "%s/%s" % (outputs[0].path, without)],
            tools = [host.program] + ctx.files.plugins,
            **common
        )
    else:
        ctx.actions.run(
            executable = host.program,
            arguments = [args],
            # Workers are started anew where one of these changes.
            tools = ctx.files.plugins,
            execution_requirements = {"supports-workers": "1"},
            **common
        )

def _one_run(ctx, action, mnemonic, without = None):
    config = ctx.file.config
    out = ctx.actions.declare_directory(ctx.attr.out or ctx.label.name)
    words = _words(ctx, action, config, "execpath") + ctx.attr.flags + [
        "--quiet",
        "--reproducible",
        "--run_dir=" + out.path,
    ]
    _run(ctx, words, _inputs(ctx, config), [out], mnemonic, "%s %s" % (mnemonic, ctx.label), without)
    return [DefaultInfo(files = depset([out])), MaseRunInfo(directories = [out])]

def _transform_impl(ctx):
    return _one_run(ctx, "transform", "MaseTransform")

def _train_impl(ctx):
    return _one_run(ctx, "train", "MaseTrain")

def _search_impl(ctx):
    return _one_run(ctx, "search", "MaseSearch", without = "study.db")

_ONE_RUN = dict(
    _RUN,
    config = _CONFIG,
    flags = attr.string_list(doc = "Other flags of the action: --trials=100."),
    out = attr.string(doc = "Name of the run's directory, if not the target's."),
)

mase_transform = rule(
    implementation = _transform_impl,
    doc = "Passes on a net, measured before and after: `ch transform`.",
    attrs = _ONE_RUN,
)

mase_train = rule(
    implementation = _train_impl,
    doc = "A training: `ch train`.",
    attrs = _ONE_RUN,
)

mase_search = rule(
    implementation = _search_impl,
    doc = "A search: `ch search`.",
    attrs = _ONE_RUN,
)

# Grids.

def _short_names(settings):
    """As much of the ends of the settings' paths as tells them apart."""
    names = {}
    for setting in settings:
        parts = setting.split(".")
        for n in range(1, len(parts) + 1):
            name = ".".join(parts[-n:])
            if len([s for s in settings if ("." + s).endswith("." + name)]) == 1:
                break
        names[setting] = name
    return names

_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"

def _file_name(text):
    return "".join([c if c in _SAFE else "_" for c in text.elems()])

def _points(ctx, grid):
    """All combinations, the last setting turning fastest: structs of name and values."""
    points = [[]]
    for setting, values in grid.items():
        if not values:
            fail("grid of %s: %s has no values" % (ctx.label, setting))
        points = [point + [(setting, value)] for point in points for value in values]
        if len(points) > 100000:
            fail("grid of %s has more than 100,000 points" % ctx.label)
    short = _short_names(grid.keys())
    taken = {}
    named = []
    for i, point in enumerate(points):
        name = ",".join(["%s=%s" % (short[s], _file_name(v.split(":")[-1].rstrip(")"))) for s, v in point])
        if name in taken or len(name) > 80:
            name = "%s-%d" % (name[:72], i + 1)
        taken[name] = True
        named.append(struct(name = name, settings = point))
    return named

def _sweep_impl(ctx):
    action = ctx.attr.action
    base = ctx.file.base
    if not ctx.attr.grid:
        fail("grid of %s: it has no setting" % ctx.label)
    common = _words(ctx, action, base, "execpath")
    inputs = _inputs(ctx, base)
    runs = []
    for point in _points(ctx, ctx.attr.grid):
        out = ctx.actions.declare_directory("%s/%s" % (ctx.label.name, point.name))
        words = common + [
            _plain("--set=%s=%s" % (setting, _located(ctx, value, "execpath")), str(ctx.label))
            for setting, value in point.settings
        ] + ["--quiet", "--reproducible", "--run_dir=" + out.path]
        _run(ctx, words, inputs, [out], "MaseSweep", "MaseSweep %s %s" % (ctx.label, point.name))
        runs.append(out)
    tables = []
    for ending, form in [("csv", "csv"), ("md", "markdown"), ("json", "json")]:
        table = ctx.actions.declare_file("%s.%s" % (ctx.label.name, ending))
        words = ["report"] + [f.path for f in runs] + ["--format=" + form, "--output=" + table.path]
        if ctx.attr.columns:
            words.append("--columns=" + ",".join(ctx.attr.columns))
        _run(ctx, words, runs, [table], "MaseReport", "MaseReport %s" % ctx.label)
        tables.append(table)
    return [
        DefaultInfo(files = depset(runs + tables)),
        OutputGroupInfo(tables = depset(tables)),
        MaseRunInfo(directories = runs),
    ]

mase_sweep = rule(
    implementation = _sweep_impl,
    doc = "An action for each combination of values, and tables of them all: NAME.csv, NAME.md, NAME.json.",
    attrs = dict(
        _RUN,
        action = attr.string(
            default = "transform",
            values = ["test", "train", "transform"],
        ),
        base = _CONFIG,
        columns = attr.string_list(doc = "Columns of the tables, as `ch report --columns` takes them."),
        grid = attr.string_list_dict(
            mandatory = True,
            doc = "Settings by path, each with its values.",
        ),
    ),
)

# Tests.

def _quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"

def _csv(cell):
    return "\"" + cell.replace("\"", "\"\"") + "\""

_SCRIPT = """#!/bin/sh
# {label}: written by mase_pipeline_test.
points={points}  # 0: one run.
index=${{TEST_SHARD_INDEX:-0}}
[ -z "${{TEST_SHARD_STATUS_FILE:-}}" ] || touch "$TEST_SHARD_STATUS_FILE"
[ "$index" -eq 0 ] || [ "$index" -lt "$points" ] || exit 0  # More shards than runs.
set -- {words}
if [ "$points" -gt 0 ]; then
  shards=${{TEST_TOTAL_SHARDS:-1}}
  [ "$shards" -gt 0 ] || shards=1
  [ "$shards" -le "$points" ] || shards=$points
  set -- "$@" "--points={list}" "--shard=$((index + 1))/$shards"
fi
[ -z "${{XML_OUTPUT_FILE:-}}" ] || set -- "$@" "--junit=$XML_OUTPUT_FILE"
exec {program} "$@" "--run_dir=${{TEST_UNDECLARED_OUTPUTS_DIR:-$TEST_TMPDIR}}/run"
"""

def _pipeline_test_impl(ctx):
    host = ctx.attr._host[MaseHostInfo]
    if not ctx.attr.goals and not ctx.file.config:
        fail("%s has neither goals nor a config that could have some" % ctx.label)
    words = _words(ctx, ctx.attr.action, ctx.file.config, "rootpath")
    words += ["--goal=" + _plain(goal, str(ctx.label)) for goal in ctx.attr.goals]
    files = _inputs(ctx, ctx.file.config) + ctx.files.plugins
    points = _points(ctx, ctx.attr.grid) if ctx.attr.grid else []
    listed = ctx.actions.declare_file(ctx.label.name + ".points.csv")
    rows = [ctx.attr.grid.keys()] + [[_located(ctx, v, "rootpath") for _, v in p.settings] for p in points]
    ctx.actions.write(listed, "".join([",".join([_csv(cell) for cell in row]) + "\n" for row in rows]))
    if points:
        files.append(listed)
        words = ["sweep"] + words
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, _SCRIPT.format(
        label = ctx.label,
        points = len(points),
        list = listed.short_path,
        program = _quoted(host.program.executable.short_path),
        words = " ".join([_quoted(word) for word in words]),
    ), is_executable = True)
    return [
        DefaultInfo(executable = script, runfiles = ctx.runfiles(files = files).merge(host.data)),
        testing.TestEnvironment({"OMP_NUM_THREADS": str(ctx.attr.threads)}),
    ]

mase_pipeline_test = rule(
    implementation = _pipeline_test_impl,
    test = True,
    doc = "Passes where a run, or every run of a grid, meets all goals. A test case each; exit 3 of the run is a failure.",
    attrs = dict(
        _RUN,
        action = attr.string(
            default = "transform",
            values = ["test", "train", "transform"],
        ),
        config = _CONFIG,
        goals = attr.string_list(doc = "\"accuracy >= 0.7\": docs/reports.md. They replace the config's."),
        grid = attr.string_list_dict(doc = "A run for each combination of values; shard_count shares them out."),
    ),
)
