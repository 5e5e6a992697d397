#!/bin/sh
# Two people, or two CI machines, share all build results: the keys of all actions that make the
# programs and plugins are the same in a clean environment and in one with another PATH (a virtual
# environment with compilers of its own first), CC, CXX, flags, LD_LIBRARY_PATH, USER and HOME.
#
#   tools/check_environment.sh
#
# No Bazel test, because it runs Bazel. Analyses twice from nothing, builds nothing. Exit 1 and the
# first differences where keys differ.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
clean() {
  for user in one two; do
    env -i HOME="$scratch/$user" PATH=/usr/bin:/bin USER="$user" bazel shutdown >/dev/null 2>&1 || true
  done
  chmod -R u+w "$scratch" && rm -rf "$scratch"
}
trap clean EXIT
mkdir -p "$scratch/one" "$scratch/two" "$scratch/venv/bin"
for tool in gcc g++ cc c++ cpp ld ar python python3 protoc; do
  printf '#!/bin/sh\necho "the wrong %s was run" >&2\nexit 1\n' "$tool" >"$scratch/venv/bin/$tool"
  chmod +x "$scratch/venv/bin/$tool"
done

# Everything that Bazel knows of each action: mnemonic, key, environment, inputs, command line.
actions() {
  env -i HOME="$scratch/$1" USER="$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" ./bazelw aquery \
    'deps(//mase:transform + //mase:train + //mase:test + //mase:formats + //plugins:all)' \
    2>"$scratch/$1.log" >"$scratch/$1.txt" || { cat "$scratch/$1.log" >&2; exit 1; }
}
actions one PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C A=1 B=1 C=1 D=1 E=1
actions two PATH="$scratch/venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
  CC="$scratch/venv/bin/gcc" CXX="$scratch/venv/bin/g++" CXXFLAGS=-O0 LDFLAGS=-L/nowhere \
  LD_LIBRARY_PATH=/nowhere VIRTUAL_ENV="$scratch/venv"

count=$(grep -c ActionKey "$scratch/one.txt" || true)
[ "$count" -gt 100 ] || { echo "only $count actions: something is wrong with this check" >&2; exit 1; }
diff "$scratch/one.txt" "$scratch/two.txt" >"$scratch/diff" || {
  echo "the environment changes actions:" >&2
  head -n 40 "$scratch/diff" >&2
  exit 1
}
echo "$count actions, the same in both environments"
