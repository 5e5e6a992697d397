"""`program_name`: another name of a program that does what its name says."""

def _program_name_impl(ctx):
    # A copy and no link: a program finds its data beside what /proc/self/exe says.
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        inputs = [ctx.executable.program],
        outputs = [out],
        command = "cp -f %s %s" % (ctx.executable.program.path, out.path),
        mnemonic = "ProgramName",
    )
    return [DefaultInfo(executable = out, runfiles = ctx.attr.program[DefaultInfo].default_runfiles)]

program_name = rule(
    implementation = _program_name_impl,
    executable = True,
    attrs = {"program": attr.label(executable = True, cfg = "target", mandatory = True)},
)
