// What walks layers, nodes, tensors or texts takes time in proportion to their number (or n log n).
//
// Measured at n and at 10 n, the least of a few runs each, in time of the processor: a linear walk
// takes 10 times as long, one that looks at all pairs 100 times. The bound between them leaves room
// for caches. In //... at sizes of milliseconds; at 10^4 to 10^6, of seconds:
//
//   ./bazelw test //mase:growth_large_test
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "mase/base/table.h"
#include "mase/config/config.h"
#include "mase/graph/graph_io.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/verifier.h"
#include "mase/interop/safetensors.h"
#include "mase/model/checkpoint.h"
#include "mase/model/name_mapping.h"
#include "mase/model/torch_text.h"
#include "mase/model/zoo.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

constexpr double kMostGrowth = 35;  // For 10 times as much.

// The smaller number of things; MASE_GROWTH sets another.
int Small(int usual) {
  int factor = 1;
  if (const char* text = std::getenv("MASE_GROWTH"); text != nullptr) {
    CHECK(absl::SimpleAtoi(text, &factor));
  }
  return usual * factor;
}

// Of the processor: other programs on the machine do not count.
double Seconds(const std::function<void()>& run) {
  const std::clock_t begin = std::clock();
  run();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

// `make` gives what is to be timed, for so many things.
void ExpectLinear(int small, const std::function<std::function<void()>(int)>& make) {
  double small_time = std::numeric_limits<double>::infinity(), large_time = small_time;
  const std::function<void()> run_small = make(small), run_large = make(10 * small);
  // Caches may be cold the first time.
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 3; ++j) small_time = std::min(small_time, Seconds(run_small));
    large_time = std::min(large_time, Seconds(run_large));
    if (large_time < kMostGrowth * small_time) break;
  }
  EXPECT_LT(large_time, kMostGrowth * small_time)
      << small_time << " s for " << small << ", " << large_time << " s for ten times as many";
  std::printf("  %d in %.4f s, ten times as many in %.4f s\n", small, small_time, large_time);
}

std::string Layers(int count) {
  std::string layers = "Linear 16";
  for (int i = 1; i < count; ++i) absl::StrAppend(&layers, i % 2 == 0 ? ", Linear 16" : ", ReLU");
  return layers;
}

Graph Net(int layers) {
  return ValueOrDie(BuildModel({.model = Layers(layers), .input = {16}, .classes = 0}));
}

TEST(GrowthTest, LayerLists) {
  ExpectLinear(Small(500), [](int n) {
    return [layers = Layers(n)] {
      ASSERT_OK(BuildModel({.model = layers, .input = {16}, .classes = 0}));
    };
  });
}

TEST(GrowthTest, TextOfPyTorch) {
  ExpectLinear(Small(500), [](int n) {
    std::string text = "nn.Sequential(nn.Linear(16, 16)";
    for (int i = 1; i < n; ++i) text += ", nn.ReLU()";
    text += ")";
    return [text] { ASSERT_OK(LayersOfTorchText(text)); };
  });
}

// A table a node, as configs that tools write have them: MASE_GROWTH=200 is 10^4 and 10^5 tables.
TEST(GrowthTest, Toml) {
  ExpectLinear(Small(50), [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
      absl::StrAppend(&text, "[search.search_space.seed.seq_blocks_", i,
                      ".config]\nname = [\"integer\"]\nweight_width = [4, 8]\n");
    }
    return [text, n] {
      ConfigBuilder builder({.read_search = true});
      ASSERT_OK(builder.AddText(text, "f.toml", "/"));
      ASSERT_EQ(builder.Build().config.search().search_space().seed_size(), n);
    };
  });
}

TEST(GrowthTest, GraphsAsProtoText) {
  ExpectLinear(Small(500), [](int n) {
    return [text = GraphToText(Net(n))] { ASSERT_OK(GraphFromText(text)); };
  });
}

TEST(GrowthTest, GraphsAsLines) {
  ExpectLinear(Small(500), [](int n) {
    return [text = WriteGraphText(Net(n))] { ASSERT_OK(ReadGraphText(text)); };
  });
}

TEST(GrowthTest, TensorsOfAFile) {
  const std::string folder = NewFolder();
  ExpectLinear(Small(2000), [&](int n) {
    const std::string path = absl::StrCat(folder, "/", n, ".safetensors");
    SafeTensors contents;
    for (int i = 0; i < n; ++i) {
      contents.tensors.push_back({absl::StrCat("t", i), Tensor::Zeros(DType::kFloat32, {1})});
    }
    EXPECT_OK(WriteSafeTensors(path, contents));
    return [path] { ASSERT_OK(ReadSafeTensors(path)); };
  });
}

TEST(GrowthTest, Checkpoints) {
  const std::string folder = NewFolder();
  ExpectLinear(Small(500), [&](int n) {
    const std::string path = absl::StrCat(folder, "/", n, ".safetensors");
    EXPECT_OK(SaveCheckpoint(path, Net(n), {}));
    return [path] { ASSERT_OK(LoadCheckpoint(path)); };
  });
}

TEST(GrowthTest, NamesByNumber) {
  ExpectLinear(Small(500), [](int n) {
    Graph graph = Net(n);
    std::vector<FoundTensor> file;
    int module = 0;
    for (const GraphTensor& tensor : graph.tensors()) {
      const bool weight = tensor.name.back() == 't';
      file.push_back(
          {absl::StrCat(module / 2, weight ? ".weight" : ".bias"), tensor.value.shape()});
      ++module;
    }
    return [file, graph = std::make_shared<Graph>(std::move(graph))] {
      ASSERT_OK(MapNames(file, *graph));
    };
  });
}

TEST(GrowthTest, Quantize) {
  ExpectLinear(Small(300), [](int n) {
    return [graph = std::make_shared<Graph>(Net(n))] {
      Graph copy = graph->Clone();
      const PassRun run = RunPass("quantize", R"pb(by: TYPE
                                                   rules {
                                                     match: "linear"
                                                     config {
                                                       name: "integer"
                                                       data_in { width: 8 frac_width: 4 }
                                                       weight { width: 8 frac_width: 4 }
                                                       bias { width: 8 frac_width: 4 }
                                                     }
                                                   })pb",
                                  copy);
      ASSERT_OK(run.status);
    };
  });
}

// A norm behind each layer: as many nodes go, and four tensors of each. MASE_GROWTH=20 is 10^4 and
// 10^5 norms.
TEST(GrowthTest, FoldBatchNorms) {
  ExpectLinear(Small(500), [](int n) {
    std::string layers;
    for (int i = 0; i < n; ++i) absl::StrAppend(&layers, i == 0 ? "" : ", ", "Linear 4, BN");
    return [n, graph = std::make_shared<Graph>(
                   ValueOrDie(BuildModel({.model = layers, .input = {4}, .classes = 0})))] {
      Graph copy = graph->Clone();
      const PassRun run = RunPass("fold_batch_norm", "", copy);
      ASSERT_OK(run.status);
      EXPECT_EQ(run.count("batch_norms_folded"), n);
      EXPECT_EQ(copy.tensors().size(), 2u * n);
    };
  });
}

// A chain of so many nodes; every third does nothing, every tenth has a weight.
Graph Chain(int nodes) {
  std::string text = "n0 = placeholder() : f32[8, 4]\n";
  for (int i = 1; i + 1 < nodes; ++i) {
    const char* op = i % 10 == 0 ? "linear" : i % 3 == 0 ? "identity" : "relu";
    const char* options = i % 10 == 0 ? ", in_features=4, out_features=4, bias=False" : "";
    absl::StrAppend(&text, "n", i, " = ", op, "(n", i - 1, options, ")\n");
  }
  return ValueOrDie(ReadGraphText(absl::StrCat(text, "output = output(n", nodes - 2, ")\n")));
}

// The peak of the process so far.
int64_t PeakMemory() {
  rusage usage = {};
  CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return int64_t{usage.ru_maxrss} * 1024;
}

// What `ch transform` does to a graph besides reading and measuring it. MASE_GROWTH=200 is 10^5
// and 10^6 nodes.
TEST(GrowthTest, VerifyTransformWrite) {
  const std::string folder = NewFolder();
  double million = 0;
  ExpectLinear(Small(500), [&](int n) {
    return [&million, path = absl::StrCat(folder, "/", n, ".safetensors"), n,
            graph = std::make_shared<Graph>(Chain(n))] {
      Graph copy = graph->Clone();
      million = Seconds([&] {
        ASSERT_OK(VerifyGraph(copy));
        const PassRun run = RunPass("remove_identity", "", copy);
        ASSERT_OK(run.status);
        EXPECT_GT(run.count("nodes_removed"), n / 4);
        ASSERT_OK(SaveCheckpoint(path, copy, {}));
      });
    };
  });
  if (Small(500) < 100'000) return;
  std::printf("  the last 10^6 nodes took %.2f s, at most %.2f GB\n", million, PeakMemory() / 1e9);
  EXPECT_LT(million, 5);
  EXPECT_LT(PeakMemory(), int64_t{4} << 30);
}

TEST(GrowthTest, ACellOfATable) {
  ExpectLinear(Small(20000), [](int n) {
    return [name = std::string(n, 'n')] {
      Table table({{"Name"}, {"Value"}});
      table.AddRow({name, 1});
      ASSERT_LT(table.Text().size(), 2000u);
    };
  });
}

}  // namespace
}  // namespace mase
