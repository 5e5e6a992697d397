#!/bin/sh
# check PLUGIN.so: `ch plugins check` of the SDK that this file is part of.
exec "$(dirname "$(readlink -f "$0")")/../bin/ch" plugins check "$@"
