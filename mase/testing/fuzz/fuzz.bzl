"""Readers under fire: fuzz targets."""

def fuzz_target(name, deps, corpus = [], copies = 2000):
    """One reader that gets bytes: NAME.cc defines LLVMFuzzerTestOneInput.

    Makes two targets. NAME_test, an ordinary test, gives it the files of corpus/NAME and of the
    labels in `corpus`, and `copies` changed copies of them, without coverage and with any compiler.
    NAME_fuzz is libFuzzer's program, which wants clang: tools/fuzz builds and runs it.
    """
    own = native.glob(["corpus/%s/*" % name])
    native.cc_test(
        name = name + "_test",
        size = "medium",
        srcs = [name + ".cc"],
        args = ["--copies=%d" % copies] + ["$(rootpaths %s)" % label for label in own + corpus],
        data = own + corpus,
        deps = deps + [":replay"],
    )
    native.cc_binary(
        name = name + "_fuzz",
        testonly = 1,
        srcs = [name + ".cc"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
