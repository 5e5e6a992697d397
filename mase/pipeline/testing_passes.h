// Test-only: passes made of lambdas, and pipelines of them by name.
#ifndef MASE_PIPELINE_TESTING_PASSES_H_
#define MASE_PIPELINE_TESTING_PASSES_H_

#include <functional>
#include <string>
#include <vector>

#include "google/protobuf/repeated_field.h"
#include "gtest/gtest.h"
#include "mase/pass/pass.h"
#include "mase/pass/pass_registry.h"
#include "mase/pipeline/pipeline.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {

inline constexpr char kTestNet[] = R"(
x = placeholder() : f32[8, 4]
a = relu(x)
b = tanh(a)
output = output(b)
)";

using Body = std::function<absl::StatusOr<PassResult>(Graph&, PassContext&)>;

// Puts a ' behind the graph's name.
absl::StatusOr<PassResult> Rename(Graph& graph, PassContext& context);
// Does nothing.
absl::StatusOr<PassResult> Look(Graph& graph, PassContext& context);

inline constexpr PassKind kAnalysis = PassKind::kAnalysis;

class PipelineTest : public ::testing::Test {
 protected:
  void Add(const std::string& name, const Body& body, PassTraits traits = {});

  static google::protobuf::RepeatedPtrField<PassConfig> Configs(
      const std::vector<std::string>& names);

  // Builds and runs on graph_, watched by instruments_.
  absl::Status Run(const std::vector<std::string>& names);
  absl::Status RunConfigs(const google::protobuf::RepeatedPtrField<PassConfig>& configs);

  // "name" or "name (label)" of every pass that ran.
  std::vector<std::string> Ran() const;

  PassRegistry registry_;
  Graph graph_ = ParseGraph(kTestNet);
  TestHost host_;
  RunReport report_;
  std::vector<std::string> created_;
  std::vector<Instrumentation*> instruments_;
};

}  // namespace mase

#endif  // MASE_PIPELINE_TESTING_PASSES_H_
