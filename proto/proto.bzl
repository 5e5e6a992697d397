"""`mase_proto`: NAME.proto as `:NAME_proto` and, for C++, `:NAME_cc_proto`."""

def mase_proto(name, deps = []):
    """Declares both libraries of one file; deps are names of other files here or proto_library labels."""
    native.proto_library(
        name = name + "_proto",
        srcs = [name + ".proto"],
        deps = [d if "//" in d else ":" + d + "_proto" for d in deps],
    )
    native.cc_proto_library(
        name = name + "_cc_proto",
        deps = [":" + name + "_proto"],
    )
