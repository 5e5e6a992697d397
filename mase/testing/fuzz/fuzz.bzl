"""Readers under fire: fuzz targets."""

def fuzz_target(name, deps, corpus = []):
    """One reader that gets bytes: NAME.cc defines LLVMFuzzerTestOneInput.

    Makes two targets. NAME_test, an ordinary test, gives it the corpus and some thousand changed
    copies of it, without coverage and with any compiler. NAME_fuzz is libFuzzer's program, which
    wants clang: tools/fuzz builds and runs it.
    """
    native.cc_test(
        name = name + "_test",
        size = "medium",
        srcs = [name + ".cc"],
        args = ["$(rootpaths %s)" % label for label in corpus],
        data = corpus,
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
