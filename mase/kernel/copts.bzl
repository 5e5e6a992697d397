"""How loops over elements are compiled, of the kernels on numbers and of those on codes."""

# Vectorized as with -O3, which would have each loop several times over, and no faster.
LOOP_COPTS = [
    "-O2",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
] + select({
    "//third_party:clang": [],  # Does not know the flag, and needs none.
    "//conditions:default": ["-fvect-cost-model=dynamic"],
})
