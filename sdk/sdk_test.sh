#!/usr/bin/env bash
# The SDK unpacks anywhere and is all that a plugin needs: each example is built outside of this tree, by g++ and, where
# it is, CMake, checked by `ch plugins check`, and does its work in a run.
set -euo pipefail
archive=$(readlink -f mase-sdk-*.tar.gz)
here=$PWD
work=$TEST_TMPDIR/work
unset RUNFILES_DIR RUNFILES_MANIFEST_FILE TEST_SRCDIR  # By which `ch` would take this tree for its own.
mkdir -p "$work" && cd "$work"
tar -xzf "$archive"
SDK=$(echo "$work"/mase-sdk-*)
mv "$SDK" "$work/moved" && SDK=$work/moved
ch() { env -i PATH="$PATH" HOME="$work" "$SDK/bin/ch" "$@"; }

# has FILE TEXT: the file holds the text.
has() {
  grep -qF -- "$2" "$1" && return
  echo "no '$2' in $1:"
  cat "$1"
  exit 1
}

# The flags of docs/plugins.md, with and without pkg-config.
flags="-I$SDK/include -std=c++20 -DNDEBUG -fPIC -fvisibility=hidden -shared"
if command -v pkg-config > /dev/null; then
  flags=$(PKG_CONFIG_PATH=$SDK/lib/pkgconfig pkg-config --cflags --libs mase-sdk)
fi
build() { # build NAME SOURCE...
  local name=$1
  shift
  # shellcheck disable=SC2086
  g++ -O1 -Wall -Wextra -Werror -Wno-missing-field-initializers $flags -I. -o "$name.so" "$@"
}

# The commands of docs/plugins.md, one after another in one folder: they build the examples, too.
awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$here/docs/plugins.md" > commands
test "$(wc -l < commands)" -gt 20
mkdir -p tools
if ! command -v pkg-config > /dev/null; then
  printf '#!/bin/sh\necho "%s"\n' "$flags" > tools/pkg-config
  chmod +x tools/pkg-config
fi
# Without CMake the page's first plugin is left out.
has_cmake=$(command -v cmake || true)
if [[ -z $has_cmake ]]; then sed -i '/new_pass my_pass/,/^cd \.\./d' commands; fi
export SDK
env -u TEST_TMPDIR HOME="$work" PATH="$work/tools:$PATH" bash -euo pipefail -x commands > commands.log 2>&1 || {
  tail -40 commands.log
  exit 1
}
has commands.log " passed, 0 failed"
has commands.log "SHA-256  $(sha256sum posit.so | cut -d' ' -f1)"
if [[ -n $has_cmake ]]; then has commands.log "100% tests passed"; fi

# A pass.
ch transform jsc-tiny jsc --plugins=./count_flops.so --set=passes.count_flops={} --run_dir=flops > log 2>&1
has log "Arithmetic of each node, for one row"
has flops/count_flops/flops.csv "seq_blocks_2,linear,80,0,160"

# A pass that runs the net, on a split that it names.
ch transform jsc-tiny jsc --plugins=./dead_units.so --set='passes.dead_units.split="test"' --run_dir=dead > log 2>&1
has log "test split"
test -s dead/dead_units/dead_units.csv
if ch transform jsc-tiny jsc --plugins=./dead_units.so --set='passes.dead_units.split="tests"' > log 2>&1; then exit 1; fi
has log "split: 'tests'"

# Folding of batch norms, from the source of the bundled pass under another name: tensors go, a node gains one.
mkdir -p plugins/my_fold
for file in fold_batch_norm.cc fold_batch_norm_options.proto; do
  sed -e 's/fold_batch_norm/my_fold/g' -e 's/conv_bn_fusion/my_conv_fold/g' "$here/plugins/fold_batch_norm/$file" > "plugins/my_fold/${file/fold_batch_norm/my_fold}"
done
protoc -I. -I"$SDK/include" --cpp_out=. plugins/my_fold/my_fold_options.proto
build my_fold plugins/my_fold/my_fold.cc plugins/my_fold/my_fold_options.pb.cc
ch transform 'Linear 16, BN, ReLU, Linear classes' jsc --plugins=./my_fold.so --set=passes.my_fold={} --run_dir=fold > log 2>&1
has log "Largest change of a result"
ch plugins check ./my_fold.so > log || {
  cat log
  exit 1
}

# A number format: by its name wherever a format is written.
ch formats --plugins=./posit.so describe 'posit 8/1' > log
has log "posit 8/1: 8 bits, -4096 to 4096"
ch transform jsc-tiny jsc --plugins=./posit.so --set='passes.quantize.linear.config="posit 8/1"' --run_dir=posit > log 2>&1
has log "posit"

# An op: a word of layer lists, which trains.
ch train 'Linear 16, Squareplus, Linear classes' jsc-sim --plugins=./squareplus.so --max_epochs=1 \
  --set=dataset.rows=2000 --run_dir=op > log 2>&1
has log "Training is completed"

# A metric: its figure is that of the host's own F1, and a goal can name it.
ch transform jsc-tiny jsc --plugins=./macro_f1.so --plugins=./count_flops.so --set=passes.count_flops={} \
  --goal='macro_f1 >= 0.01' --run_dir=metric > log 2>&1
has log "macro_f1 >= 0.01"
figure() { awk -v name="\"$1\"" '$1 == "\"name\":" && $2 ~ name { found = 1 } found && $1 == "\"value\":" { print $2 + 0; exit }' metric/summary.json; }
test -n "$(figure macro_f1)"
test "$(figure macro_f1)" = "$(figure f1)"

# Where no pass runs, too: the test of a net measures it; a net with an op, or a format, of a plugin is read and written.
ch test --load=metric --plugins=./macro_f1.so --goal='macro_f1 >= 0.01' --run_dir=tested > log 2>&1
has log "macro_f1 >= 0.01"
ch info --load=op --plugins=./squareplus.so > log 2>&1
has log "Squareplus"
if ch info --load=op > log 2>&1; then exit 1; fi
has log "squareplus"
ch export onnx --load=posit --plugins=./posit.so --out=posit.onnx > log 2>&1
has log "posit.onnx: 6 nodes"

# A reader of data: its files are data sets like CSV files.
ch train 'Linear 8, ReLU, Linear classes' --plugins=./row_file.so --set=dataset.path=points.rows --max_epochs=2 \
  --run_dir=reader > log 2>&1
has log "points.rows"
head -c 100 points.rows > short.rows
if ch train 'Linear 8, Linear classes' --plugins=./row_file.so --set=dataset.path=short.rows > log 2>&1; then exit 1; fi
has log "short.rows: 80 bytes of rows, want 2400"

# A sampler: by its name in a file, too, and beside others; a wrong name is told the nearest and all there are.
widths=examples/hill_climbing/widths.toml
search() { ch search --config=$widths --plugins=./hill_climbing.so "$@" > log 2>&1; }
search --set='search.strategy.setup.sampler="Hill_Climbing"' --run_dir=climbed
has log "Sampler hill_climbing, 20 trials"
test "$(grep -c COMPLETE climbed/trials.csv)" = 20
has climbed/settings.textproto 'name: "hill_climbing"'
search --sampler=hill_climbing --run_dir=again
cmp climbed/trials.csv again/trials.csv
search --compare=random,hill_climbing --seeds=2 --run_dir=compared
has compared/compare.csv "hill_climbing"
if search --sampler=hill_climbin; then exit 1; fi
has log "no sampler 'hill_climbin'; did you mean 'hill_climbing'?; there are tpe, grid, "
if ch search --config=$widths --sampler=hill_climbing > log 2>&1; then exit 1; fi
has log "--sampler: no sampler 'hill_climbing'"

# A pass with options: its manual has the comments of its .proto file.
if [[ -n $has_cmake ]]; then
  ch plugins describe my_pass/build/my_pass.so > log
  has log "The op whose nodes are counted."
  has log "default linear"
  has log "  status   experimental"
  has log "  owner    not said"
fi

# A library of its own and several .proto files, by g++ and CMake (tools/check_sdk: by Bazel).
parts=$here/testdata/sdk/two_parts
protoc "-I$parts" -I"$SDK/include" --cpp_out=. two_parts_options.proto two_parts_rules.proto
# shellcheck disable=SC2086
g++ -O1 $flags -fPIC -c -o counting.o "$parts/counting.cc"
ar crs libcounting.a counting.o
build two_parts "-I$parts" "$parts/two_parts.cc" two_parts_options.pb.cc two_parts_rules.pb.cc libcounting.a
counts() { # counts PLUGIN FOLDER
  ch transform jsc-tiny jsc "--plugins=$1" --set='passes.two_parts.rules=[{op = "linear"}, {op = "relu"}]' "--run_dir=$2" > log 2>&1
  has "$2/summary.json" '"nodes_linear": 1'
  has "$2/summary.json" '"nodes_relu": 2'
}
counts ./two_parts.so parts
if [[ -n $has_cmake ]]; then
  cp -rL "$parts" two_parts
  (cd two_parts && cmake -B build -DCMAKE_PREFIX_PATH="$SDK" > log && cmake --build build >> log) || {
    cat two_parts/log
    exit 1
  }
  counts two_parts/build/two_parts.so cmake_parts
fi
# One that is left out is missed by name. A library that lies beside it is not looked for.
if build two_parts "-I$parts" "$parts/two_parts.cc" two_parts_options.pb.cc two_parts_rules.pb.cc &&
  ch transform jsc-tiny jsc --plugins=./two_parts.so --set=passes.two_parts={} > log 2>&1; then exit 1; fi
tr -s ' \n' ' ' < log > line
has line "it uses two_parts::CountNodes(mase::Graph const&, "
# shellcheck disable=SC2086
g++ -O1 $flags -fvisibility=default -o libcounting.so "$parts/counting.cc"
# shellcheck disable=SC2016
build two_parts "-I$parts" "$parts/two_parts.cc" two_parts_options.pb.cc two_parts_rules.pb.cc -L. -l:libcounting.so '-Wl,-rpath,$ORIGIN'
if ch transform jsc-tiny jsc --plugins=./two_parts.so --set=passes.two_parts={} > log 2>&1; then exit 1; fi
tr -s ' \n' ' ' < log > line
has line "libcounting.so: cannot open shared object file: No such file or directory; link a library of your own into the plugin"

# The kit finds what is wrong, also where it crashes, and says so.
cat > bad_plugin.cc << 'END'
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "google/protobuf/empty.pb.h"
#include "mase/plugin/plugin.h"

enum Fault { kTalks, kCrashes, kVaries };

template <Fault kFault>
class BadPass final : public mase::Pass {
 public:
  using Options = google::protobuf::Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<BadPass>();
  }
  absl::StatusOr<mase::PassResult> Run(mase::Graph& graph, mase::PassContext& context) const override {
    static int runs = 0;
    if (kFault == kTalks) std::puts("look at me");
    if (kFault == kCrashes && graph.node_count() > 4) std::abort();
    if (kFault == kVaries) context.Count("runs", ++runs);
    return mase::PassResult::Unchanged();
  }
};

absl::Status Register(mase::PassRegistrar& registrar) {
  const mase::PassTraits look = {.kind = mase::PassKind::kAnalysis};
  absl::Status status = registrar.AddPass<BadPass<kTalks>>("talks", "Talks.", look);
  if (status.ok()) status = registrar.AddPass<BadPass<kCrashes>>("crashes", "Crashes.", look);
  if (status.ok()) status = registrar.AddPass<BadPass<kVaries>>("varies", "Varies.", look);
  return status;
}
MASE_DEFINE_PLUGIN("bad_plugin", "1.0.0", Register)
END
build bad_plugin bad_plugin.cc
if ch plugins check ./bad_plugin.so > log 2>&1; then exit 1; fi
has log "pass talks, nets of the zoo: it wrote to standard output or error: look at me"
has log "pass crashes, 100 random graphs: crashed: Aborted, signal 6"
has log "two runs differ"
has log "3 passed, 6 failed"
if ch plugins describe quantise > log 2>&1; then exit 1; fi
has log "did you mean 'quantize'?"

# Built by another compiler, as an older language or with checks, a plugin is refused with what differs and what to do.
source=examples/count_flops/count_flops.cc
built() { # built FOLDER COMPILER FLAG...: count_flops.so there
  mkdir -p "$1"
  # shellcheck disable=SC2086
  "$2" -O1 $flags "${@:3}" -o "$1/count_flops.so" $source > "$1/log" 2>&1
}
refused() { # refused FOLDER WORDS
  if ch transform jsc-tiny jsc --plugins="./$1/count_flops.so" --set=passes.count_flops={} > log 2>&1; then exit 1; fi
  tr -s ' \n' ' ' < log > line
  has line "$2"
}
if built older g++ -std=c++17; then exit 1; fi
has older/log "Plugins of MASE are C++20: compile them with -std=c++20."
built newer g++ -std=c++23
refused newer "its C++ standard is 202100L, this program's 202002L: compile it with -std=c++20"
built checked g++ -UNDEBUG -D_GLIBCXX_DEBUG
refused checked "its _GLIBCXX_DEBUG is 1, this program's 0: compile it without -D_GLIBCXX_DEBUG"
refused checked "its NDEBUG is 0, this program's 1: compile it with -DNDEBUG"
if command -v clang++ > /dev/null; then
  built clang clang++
  refused clang "its compiler is clang"
  refused clang "compile it with gcc 12"
fi
# With -ffast-math it works, and the program's own arithmetic is what it was.
built fast g++ -ffast-math
ch transform jsc-tiny jsc --plugins=./fast/count_flops.so --set=passes.count_flops={} --run_dir=fast/run > log 2>&1
figures() { sed -n '/"metrics"/,/\]/p' "$1/summary.json"; }
figures flops > flops.figures
figures fast/run > fast.figures
has flops.figures '"loss"'
cmp flops.figures fast.figures

# The plugin of the first release is still one.
build first_plugin "$here"/testdata/sdk/1.0.0/first_plugin.cc
ch plugins check ./first_plugin.so > log || {
  cat log
  exit 1
}
ch transform jsc-tiny jsc --plugins=./first_plugin.so --set=passes.first_pass={} --run_dir=first > log 2>&1
test -s first/first/hash.txt

# What includes more than the SDK is refused by the compiler.
echo '#include "mase/exec/executor.h"' > greedy.cc
if build greedy greedy.cc 2> log; then exit 1; fi
has log "mase/exec/executor.h: No such file"

# Each kind of new plugin builds and passes its check at once.
if [[ -n $has_cmake ]]; then
  for kind in transform format op metric sampler; do
    ch new_pass "my_$kind" --kind=$kind --build=cmake > log
    has log "ctest --test-dir build"
    (cd "my_$kind" && cmake -B build -DCMAKE_PREFIX_PATH="$SDK" > log && cmake --build build >> log && ctest --test-dir build >> log) || {
      cat "my_$kind/log" "my_$kind"/build/Testing/Temporary/LastTest.log
      exit 1
    }
  done
fi
echo "all examples were built and did their work"
