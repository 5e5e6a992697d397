"""Plugins from outside. WORKSPACE has the unpacked SDK:

    local_repository(name = "mase_sdk", path = "/home/me/mase-sdk-1.3.0")

and BUILD a plugin, which builds count_flops.so and the test count_flops_check:

    load("@mase_sdk//:bazel/plugin.bzl", "mase_pass_plugin")
    mase_pass_plugin(name = "count_flops", srcs = ["count_flops.cc"])
"""

# What the host was built with: it refuses plugins that differ.
_COPTS = ["-std=c++20", "-O2", "-DNDEBUG", "-fPIC", "-fvisibility=hidden"]

def mase_pass_plugin(name, srcs, proto = None, deps = []):
    """NAME.so of sources that end with MASE_DEFINE_PLUGIN; deps are linked into it.

    Args:
      name: the shared object's and the plugin's own name.
      srcs: its sources.
      proto: the file of its options' messages, if any, or a list with those that it imports; each is included as
        "STEM.pb.h".
      deps: cc_library targets of its own.
    """
    generated = []
    protos = [] if not proto else proto if type(proto) == "list" else [proto]
    if protos:
        generated = [p[:-len(".proto")] + ending for p in protos for ending in [".pb.cc", ".pb.h"]]
        native.genrule(
            name = name + "_proto",
            srcs = protos + ["@mase_sdk//:protos"],
            outs = generated + [name + ".options"],
            # The descriptors have the comments, the manual of `ch plugins describe`.
            cmd = ("protoc -I$$(dirname $(location %s)) -Iexternal/mase_sdk/include --cpp_out=$(RULEDIR) " +
                   "--include_imports --include_source_info --descriptor_set_out=$(RULEDIR)/%s.options %s") %
                  (protos[0], name, " ".join(["$(location %s)" % p for p in protos])),
        )

    # Where "STEM.pb.h" lies. (`includes` would not do: Bazel refuses that of a workspace's root.)
    folder = "/".join([part for part in ["$(BINDIR)", native.package_name()] if part])
    native.cc_binary(
        name = name + ".so",
        srcs = srcs + generated,
        copts = _COPTS + ["-iquote", folder],
        linkshared = 1,
        deps = ["@mase_sdk//:sdk"] + deps,
    )
    native.sh_test(
        name = name + "_check",
        size = "medium",
        srcs = ["@mase_sdk//:bazel/check.sh"],
        args = ["$(location :%s.so)" % name],
        data = [":%s.so" % name, "@mase_sdk//:host"],
    )
