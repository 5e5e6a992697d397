"""A text file as a part of the program."""

def text_asset(name, source):
    """NAME.inc: the file as one raw string, which the compiler reads as it is."""
    native.genrule(
        name = name + "_inc",
        srcs = [source],
        outs = [name + ".inc"],
        cmd = "(printf 'R\"MASE_ASSET('; cat $<; printf ')MASE_ASSET\"') > $@",
    )
