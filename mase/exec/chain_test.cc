// Small nets with branches and residual sums are one kernel, which computes what its steps compute
// one by one: in float32, and on codes, where that is the simulation's bits.
#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/every_isa.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kData[] = "integer { width: 8 frac_width: 5 }";
constexpr char kSum[] = "integer { width: 7 frac_width: 3 }";
constexpr char kWeight[] = "integer { width: 6 frac_width: 5 }";

class NetOf {
 public:
  NetOf(int64_t rows, int64_t features) : net_({rows, features}) {
    features_[net_.input()] = features;
  }

  Value* input() { return net_.input(); }
  Value* Linear(Value* x, int64_t out) {
    x = net_.Module("linear", {x}, {{"in_features", features_[x]}, {"out_features", out}});
    features_[x] = out;
    return Record(x, {{"data_in", kData}, {"weight", kWeight}, {"bias", kData}});
  }
  Value* Norm(Value* x) {
    return Like(x, net_.Module("batch_norm1d", {x}, {{"num_features", features_[x]}}));
  }
  // Norms whose first channel is multiplied with 0, or with what makes infinities.
  Value* Pruned(Value* x) { return Scaled(x, 0); }
  Value* Huge(Value* x) { return Scaled(x, 1e38f); }
  // An op that no chain has.
  Value* Other(Value* x) { return Like(x, net_.Module("sigmoid", {x})); }
  Value* Relu(Value* x) { return Like(x, net_.Module("relu", {x})); }
  Value* Add(Value* a, Value* b) { return Like(a, net_.Function("add", {a, b})); }
  Value* RoundedAdd(Value* a, Value* b) { return Record(Add(a, b), {{"data_in", kSum}}); }
  Value* Record(Value* x, const Formats& formats) {
    records_.emplace_back(x->producer()->name(), formats);
    return x;
  }
  // Without records, the float net.
  Graph Finish(Value* result, bool quantized = true) {
    Graph graph = net_.Finish({result});
    for (const auto& [name, factor] : scaled_) {
      const std::string& tensor = *ValueOrDie(graph.LookUpNode(name))->FindParameter("weight");
      Tensor weight(DType::kFloat32, graph.FindTensor(tensor)->value.shape());
      std::fill(weight.mutable_data<float>().begin(), weight.mutable_data<float>().end(), 1.0f);
      weight.mutable_data<float>()[0] = factor;
      graph.SetTensor(tensor, std::move(weight), /*buffer=*/false);
    }
    if (!quantized) return graph;
    for (const auto& [name, formats] : records_) SetRecord(graph, name, formats);
    return graph;
  }

 private:
  Value* Scaled(Value* x, float factor) {
    x = Norm(x);
    scaled_.emplace_back(x->producer()->name(), factor);
    return x;
  }
  Value* Like(Value* x, Value* y) {
    features_[y] = features_[x];
    return y;
  }

  TestNet net_;
  std::map<Value*, int64_t> features_;
  std::vector<std::pair<std::string, float>> scaled_;
  std::vector<std::pair<std::string, Formats>> records_;
};

struct Case {
  std::string name;
  Value* (*build)(NetOf&);
};

const Case kCases[] = {
    {"a block behind a layer",
     [](NetOf& net) {
       Value* x = net.Relu(net.Norm(net.Linear(net.input(), 24)));
       Value* y = net.Relu(net.Norm(net.Linear(x, 40)));
       y = net.Norm(net.Linear(y, 24));
       return net.Linear(net.Relu(net.Add(y, x)), 5);
     }},
    {"two blocks, sums with a record",
     [](NetOf& net) {
       Value* x = net.Linear(net.input(), 17);
       for (int i = 0; i < 2; ++i) {
         Value* y = net.Linear(net.Relu(net.Linear(x, 30)), 17);
         x = net.Relu(net.RoundedAdd(x, y));
       }
       return net.Linear(x, 4);
     }},
    {"a block around the input, whose sum has a record",
     [](NetOf& net) {
       Value* x = net.input();
       return net.Linear(net.RoundedAdd(net.Linear(net.Relu(net.Linear(x, 30)), 21), x), 3);
     }},
    {"a branch with a layer of its own",
     [](NetOf& net) {
       Value* x = net.Relu(net.Linear(net.input(), 20));
       Value* y = net.Norm(net.Linear(net.Relu(net.Linear(x, 11)), 33));
       return net.Add(y, net.Norm(net.Linear(x, 33)));
     }},
    {"two branches from the input",
     [](NetOf& net) {
       Value* x = net.Linear(net.input(), 16);
       Value* y = net.Relu(net.Linear(net.input(), 16));
       return net.Linear(net.RoundedAdd(x, y), 9);
     }},
    {"a block around the input",
     [](NetOf& net) {
       Value* y = net.Norm(net.Linear(net.Relu(net.Linear(net.input(), 30)), 21));
       return net.Linear(net.Relu(net.Add(net.input(), y)), 3);
     }},
    {"a first step that computes, added by a record",
     [](NetOf& net) {
       Value* x = net.Norm(net.input());
       x = net.Record(net.Add(net.Linear(x, 21), x), {{"data_in", kData}});
       return net.Linear(x, 3);
     }},
    {"ten blocks one behind the other",
     [](NetOf& net) {
       Value* x = net.Linear(net.input(), 9);
       for (int i = 0; i < 10; ++i) x = net.Relu(net.Add(net.Linear(x, 9), x));
       return net.Linear(x, 4);
     }},
    {"a result read three times",
     [](NetOf& net) {
       Value* x = net.Linear(net.input(), 14);
       Value* y = net.Add(net.Linear(x, 14), x);
       return net.Linear(net.Add(net.Relu(y), x), 4);
     }},
    {"sums of sums, the last the result",
     [](NetOf& net) {
       Value* x = net.Linear(net.input(), 12);
       Value* y = net.Linear(x, 12);
       Value* z = net.Add(net.Linear(y, 12), y);
       return net.Relu(net.Add(z, x));
     }},
};

std::vector<float> RunNet(const Graph& graph, const ExecutorOptions& options, int64_t rows,
                          const std::vector<float>& x,
                          std::vector<std::string>* kernels = nullptr) {
  auto executor = ValueOrDie(Executor::Create(graph, options));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
  const ExecutionReport report = ValueOrDie(executor->Report());
  for (const StepExecution& step : report.steps) {
    if (kernels != nullptr) kernels->push_back(step.kernel);
  }
  return {executor->output().begin(), executor->output().end()};
}

// Kept values stand alone, so that nothing is fused.
TEST(ChainTest, BranchesAndSumsAreTheSameFusedAndAlone) {
  for (const Case& c : kCases) {
    for (const int64_t rows : {1, 3, 16, 37, 500}) {
      NetOf net(rows, 21);
      const Graph graph = net.Finish(c.build(net), /*quantized=*/false);
      const std::vector<float> x = RandomValues(rows * 21, 7);
      SCOPED_TRACE(absl::StrCat(c.name, ", ", rows, " rows"));
      OnEveryIsa([&] {
        std::vector<std::string> kernels;
        const std::vector<float> fused = RunNet(graph, {}, rows, x, &kernels);
        EXPECT_EQ(kernels.size(), 1) << absl::StrJoin(kernels, ", ");
        EXPECT_EQ(fused, RunNet(graph, {.keep_values = true}, rows, x));
      });
    }
  }
}

TEST(ChainTest, BranchesAndSumsAreTheSimulationsInOneKernel) {
  for (const Case& c : kCases) {
    for (const int64_t rows : {1, 3, 16, 37}) {
      NetOf net(rows, 21);
      const Graph graph = net.Finish(c.build(net));
      std::vector<float> x = RandomValues(rows * 21, 7);
      for (float& number : x) number *= 3;
      SCOPED_TRACE(absl::StrCat(c.name, ", ", rows, " rows"));
      OnEveryIsa([&] {
        std::vector<std::string> kernels;
        const std::vector<float> integer =
            RunNet(graph, {.execution = Execution::kInteger}, rows, x, &kernels);
        // A NaN of the rows would be lost in what is added to them: they are in no chain's sum.
        const bool adds_input = c.name == "a block around the input";
        EXPECT_EQ(kernels.size() == 1, !adds_input) << absl::StrJoin(kernels, ", ");
        EXPECT_EQ(integer, RunNet(graph, {.execution = Execution::kSimulated}, rows, x));
      });
    }
  }
}

// What one kernel cannot be, or only a part of it: the same numbers, in several kernels.
TEST(ChainTest, WhatOthersReadOrWhatDiffersIsNoChain) {
  const Case cases[] = {
      {"a sum of twice the same",
       [](NetOf& net) {
         Value* x = net.Linear(net.input(), 12);
         return net.Linear(net.Add(x, x), 3);
       }},
      {"a sum of what is still in a slot",
       [](NetOf& net) {
         Value* x = net.Linear(net.input(), 12);
         Value* y = net.Linear(x, 12);
         return net.Linear(net.Add(net.Add(y, x), y), 3);
       }},
      {"a row added to all",
       [](NetOf& net) {
         Value* x = net.Linear(net.input(), 1);
         return net.Linear(net.Add(net.Linear(x, 12), x), 3);
       }},
      {"another op in between",
       [](NetOf& net) {
         Value* x = net.Linear(net.input(), 12);
         return net.Linear(net.Add(net.Linear(net.Other(x), 12), x), 3);
       }},
      {"what another op reads, too",
       [](NetOf& net) {
         Value* x = net.Linear(net.input(), 12);
         Value* y = net.Linear(net.Linear(x, 12), 12);
         return net.Add(net.Linear(net.Other(x), 12), y);
       }},
  };
  for (const Case& c : cases) {
    for (const bool quantized : {false, true}) {
      SCOPED_TRACE(absl::StrCat(c.name, quantized ? ", quantized" : ""));
      NetOf net(19, 21);
      const Graph graph = net.Finish(c.build(net), quantized);
      const std::vector<float> x = RandomValues(19 * 21, 7);
      const Execution way = quantized ? Execution::kInteger : Execution::kFloat;
      EXPECT_EQ(RunNet(graph, {.execution = way}, 19, x),
                RunNet(graph, {.execution = Execution::kSimulated, .keep_values = true}, 19, x));
    }
  }
}

// Norms of such weights may make infinities of either sign: told before a row is run.
TEST(ChainTest, ASumThatMayBeNanIsRefusedWhereCodesAreMadeOfIt) {
  for (const bool rounded : {true, false}) {
    NetOf net(4, 6);
    Value* x = net.Linear(net.input(), 6);
    Value* y = net.Add(net.Huge(net.Linear(x, 6)), net.Huge(net.Linear(x, 6)));
    const Graph graph = net.Finish(rounded ? net.Linear(y, 2) : y);
    const std::vector<float> rows = RandomValues(4 * 6, 7);
    auto executor = ValueOrDie(Executor::Create(graph, {.execution = Execution::kInteger}));
    const absl::Status status = executor->Forward(ExecutionMode::kInference, 4, {rows.data()});
    if (rounded) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange,
                                   HasSubstr("adds numbers that may both be infinite")));
    } else {
      EXPECT_OK(status);
    }
  }
}

// Infinity times a pruned channel's zero, where it enters a branch, behind a ReLU, and as a sum.
TEST(ChainTest, ANanIsAnErrorWhereverItIsMade) {
  const Case cases[] = {
      {"a branch that begins with a norm",
       [](NetOf& net) {
         return net.Add(net.Linear(net.input(), 8), net.Linear(net.Pruned(net.input()), 8));
       }},
      {"a norm behind a sum with the rows",
       [](NetOf& net) {
         Value* r = net.Relu(net.input());
         Value* y = net.Linear(net.Linear(net.input(), 8), 21);
         return net.Linear(net.Pruned(net.Add(y, r)), 3);
       }},
      {"a norm in front",
       [](NetOf& net) {
         Value* x = net.Pruned(net.input());
         x = net.Record(net.Add(net.Linear(x, 21), x), {{"data_in", kData}});
         return net.Linear(x, 3);
       }},
  };
  for (const Case& c : cases) {
    for (const int64_t rows : {1, 19}) {
      SCOPED_TRACE(absl::StrCat(c.name, ", ", rows, " rows"));
      NetOf net(rows, 21);
      const Graph graph = net.Finish(c.build(net));
      std::vector<float> x = RandomValues(rows * 21, 7);
      auto executor = ValueOrDie(Executor::Create(graph, {.execution = Execution::kInteger}));
      EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {x.data()}));
      x[0] = std::numeric_limits<float>::infinity();
      EXPECT_THAT(executor->Forward(ExecutionMode::kInference, rows, {x.data()}),
                  StatusIs(absl::StatusCode::kOutOfRange));
    }
  }
}

TEST(ChainTest, PartsAreTheStepsOfTheNet) {
  NetOf net(4, 21);
  const Graph graph = net.Finish(kCases[0].build(net));
  auto executor = ValueOrDie(Executor::Create(graph, {.execution = Execution::kInteger}));
  const std::vector<float> x = RandomValues(4 * 21, 7);
  ASSERT_OK(executor->Forward(ExecutionMode::kInference, 4, {x.data()}));
  const ExecutionReport report = ValueOrDie(executor->Report());
  ASSERT_EQ(report.steps.size(), 1);
  std::vector<std::string> parts;
  for (const StepExecution& part : report.steps[0].parts) {
    parts.push_back(absl::StrCat(part.label, ": ", part.kernel));
    EXPECT_EQ(part.sum_bits > 0, part.macs > 0) << part.kernel;
    EXPECT_NE(part.isa, "");
  }
  EXPECT_THAT(parts,
              ElementsAre("linear (linear): encode",
                          "linear (linear): integer_linear + batch_norm1d + relu",
                          "linear_1 (linear): encode",
                          "linear_1 (linear): integer_linear + batch_norm1d + relu + encode",
                          "linear_2 (linear): integer_linear + batch_norm1d", "add (add): add",
                          "relu_2 (relu): relu + encode", "linear_3 (linear): integer_linear"));
}

}  // namespace
}  // namespace mase
