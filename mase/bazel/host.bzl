"""The program that does the work of the rules in defs.bzl: built here, or taken from an installation."""

MaseHostInfo = provider(
    doc = "A program ch that can be run.",
    fields = {
        "data": "What it reads besides its inputs, as runfiles",
        "program": "FilesToRunProvider of ch",
        "runfiles": "Path of the folder that has mase/plugins and mase/testdata, in actions",
    },
)

def _host_info(program, data):
    executable = program.executable
    return MaseHostInfo(
        data = data,
        program = program,
        runfiles = executable.path + ".runfiles",
    )

def _built_host_impl(ctx):
    target = ctx.attr.program[DefaultInfo]
    return [_host_info(target.files_to_run, target.default_runfiles)]

built_host = rule(
    implementation = _built_host_impl,
    doc = "A cc_binary as the host.",
    attrs = {
        # Not as a tool: that would compile everything once more. It runs where it was built for.
        "program": attr.label(
            executable = True,
            cfg = "target",
            mandatory = True,
        ),
    },
)

def _installed_program_impl(ctx):
    program = ctx.actions.declare_file("installed/ch")
    ctx.actions.symlink(output = program, target_file = ctx.file.program, is_executable = True)
    skipped = len("../" + ctx.label.workspace_name + "/")
    return [DefaultInfo(
        executable = program,
        runfiles = ctx.runfiles(
            files = [program],
            root_symlinks = {"mase/" + f.short_path[skipped:]: f for f in ctx.files.data},
        ),
    )]

installed_program = rule(
    implementation = _installed_program_impl,
    executable = True,
    doc = "The ch of an installation, in a repository that mase_installed made.",
    attrs = {
        "data": attr.label_list(allow_files = True),
        "program": attr.label(allow_single_file = True, mandatory = True),
    },
)
