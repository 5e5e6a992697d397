// Small nets on codes with branches and residual sums are one kernel, which computes what its steps
// compute one by one, and so the simulation's bits.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/exec/executor.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/quantized_net.h"
#include "mase/testing/numerics/test_net.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

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
  Value* Relu(Value* x) { return Like(x, net_.Module("relu", {x})); }
  Value* Add(Value* a, Value* b) { return Like(a, net_.Function("add", {a, b})); }
  Value* RoundedAdd(Value* a, Value* b) { return Record(Add(a, b), {{"data_in", kSum}}); }
  Value* Record(Value* x, const Formats& formats) {
    records_.emplace_back(x->producer()->name(), formats);
    return x;
  }
  Graph Finish(Value* result) {
    Graph graph = net_.Finish({result});
    for (const auto& [name, formats] : records_) SetRecord(graph, name, formats);
    return graph;
  }

 private:
  Value* Like(Value* x, Value* y) {
    features_[y] = features_[x];
    return y;
  }

  TestNet net_;
  std::map<Value*, int64_t> features_;
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

TEST(IntegerChainNetTest, BranchesAndSumsAreTheSimulationsInOneKernel) {
  const Isa best = CurrentIsa();
  for (const Case& c : kCases) {
    for (const int64_t rows : {1, 3, 16, 37}) {
      NetOf net(rows, 21);
      const Graph graph = net.Finish(c.build(net));
      std::vector<float> x = RandomValues(rows * 21, 7);
      for (float& number : x) number *= 3;
      for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
        if (!SetIsaForTest(isa)) continue;
        SCOPED_TRACE(absl::StrCat(c.name, ", ", rows, " rows, ", IsaName(isa)));
        std::vector<std::string> kernels;
        const std::vector<float> integer =
            RunNet(graph, {.execution = Execution::kInteger}, rows, x, &kernels);
        EXPECT_THAT(kernels, ElementsAre("integer_chain"));
        EXPECT_EQ(integer, RunNet(graph, {.execution = Execution::kSimulated}, rows, x));
      }
      SetIsaForTest(best);
    }
  }
}

TEST(IntegerChainNetTest, PartsAreTheStepsOfTheNet) {
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
