"""Rules that pack the SDK."""

def _sdk_include_impl(ctx):
    # The listed headers and .proto files under the names by which sources include them.
    by_path = {}
    for dep in ctx.attr.deps:
        for h in dep[CcInfo].compilation_context.headers.to_list():
            by_path[h.short_path] = h
    missing = [p for p in ctx.attr.headers if p not in by_path]
    if missing:
        fail("the SDK lists headers that no room of it has: %s" % ", ".join(missing))
    files = [by_path[p] for p in ctx.attr.headers]
    for proto in ctx.attr.protos:
        files += [f for f in proto[ProtoInfo].direct_sources]
    return [DefaultInfo(files = depset(files), runfiles = ctx.runfiles(files = files))]

sdk_include = rule(
    implementation = _sdk_include_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "headers": attr.string_list(mandatory = True),
        "protos": attr.label_list(providers = [ProtoInfo]),
    },
)

def _sdk_archive_impl(ctx):
    # Built as the plugins and the program are, not as tools of the build are: so no genrule.
    pack = ctx.attr.pack[DefaultInfo].files_to_run
    ctx.actions.run_shell(
        tools = [pack],
        outputs = [ctx.outputs.out],
        command = "root=$PWD && cd %s.runfiles/%s && env BUILD_WORKING_DIRECTORY=\"$root\" tools/install.sh --sdk %s" %
                  (pack.executable.path, ctx.workspace_name, ctx.outputs.out.path),
        mnemonic = "PackSdk",
    )
    files = [ctx.outputs.out]
    return [DefaultInfo(files = depset(files), runfiles = ctx.runfiles(files = files))]

sdk_archive = rule(
    implementation = _sdk_archive_impl,
    attrs = {
        "out": attr.output(mandatory = True),
        "pack": attr.label(mandatory = True, executable = True, cfg = "target"),
    },
)
