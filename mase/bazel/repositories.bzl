"""What a WORKSPACE of its own needs to use @mase (docs/ci.md)."""

def mase_repositories(mase, protobuf = True):
    """The repositories that Bazel 4.2 asks for by name, from Debian's packages.

    Args:
      mase: path of the checkout of MASE in C++ that is @mase.
      protobuf: also what building the core or a plugin needs; an installed host does without.
    """
    native.local_repository(name = "rules_cc", path = mase + "/third_party/rules_cc")
    native.local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
    native.local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    native.local_repository(name = "bazel_skylib", path = "/usr/share/bazel/skylib")
    native.local_repository(name = "remote_coverage_tools", path = mase + "/third_party/remote_coverage_tools")
    if not protobuf:
        return
    native.new_local_repository(
        name = "com_google_protobuf",
        path = "/usr",
        build_file = "@mase//third_party:protobuf.BUILD",
    )
    native.new_local_repository(
        name = "debian_d3",
        path = "/usr/share/nodejs/d3",
        build_file_content = "exports_files([\"dist/d3.min.js\"])",
    )

_BUILD = """load("@mase//mase/bazel:host.bzl", "built_host", "installed_program")

package(default_visibility = ["//visibility:public"])

exports_files(glob(["testdata/**"]))

installed_program(
    name = "ch",
    program = "program/ch",
    data = glob(["plugins/**", "testdata/**"]),
)

built_host(
    name = "host",
    program = ":ch",
)
"""

def _mase_installed_impl(ctx):
    prefix = ctx.os.environ.get("MASE_PREFIX", "") or ctx.attr.path
    if not prefix:
        fail("which installation of MASE? say path in the WORKSPACE, or --repo_env=MASE_PREFIX=FOLDER; " +
             "`./bazelw run //:install -- FOLDER` in a checkout makes one")
    root = ctx.path(prefix)
    if not root.get_child("bin").get_child("ch").exists:
        fail("%s is no installation of MASE: it has no bin/ch" % prefix)
    ctx.symlink(root.get_child("bin").get_child("ch"), "program/ch")
    ctx.symlink(root.get_child("lib").get_child("mase").get_child("plugins"), "plugins")
    for entry in root.get_child("share").get_child("mase").readdir():
        # Sets of test data; the other two are links to plugins and to the folder itself.
        if entry.basename not in ["plugins", "testdata"]:
            ctx.symlink(entry, "testdata/" + entry.basename)
    ctx.file("BUILD", _BUILD)

mase_installed = repository_rule(
    implementation = _mase_installed_impl,
    doc = "A repository NAME whose //:host is an installation, for --@mase//mase/bazel:host=@NAME//:host.",
    attrs = {"path": attr.string(doc = "The installation's folder, if MASE_PREFIX does not say another.")},
    environ = ["MASE_PREFIX"],
    local = True,
)
