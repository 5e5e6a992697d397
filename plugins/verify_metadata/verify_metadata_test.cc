#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr char kNet[] = R"(
x = placeholder() : f32[8, 3, 6, 6]
conv = conv2d(x, in_channels=3, kernel_size=(3, 3), out_channels=4)
relu = relu(conv)
flatten = function flatten(relu) @torch.flatten
fc = linear(flatten, in_features=64, out_features=5)
  quantized integer
  data_in = integer { width: 8 frac_width: 4 }
output = output(fc)
)";

TEST(VerifyMetadataTest, FreshNotesHold) {
  for (const char* name :
       {"verify_metadata", "verify_common_metadata", "verify_software_metadata_analysis_pass"}) {
    Graph graph = ParseGraph(kNet);
    const PassRun run = RunPass(name, "", graph);
    ASSERT_OK(run.status);
    EXPECT_EQ(run.count("nodes"), 6);
    EXPECT_FALSE(run.changed());
  }
}

struct Damage {
  std::string node;
  std::function<void(CommonMetadata&)> apply;
  std::string message;
};

// Damages one note between computing them and checking them, while a pass prints:
// the pipeline takes them for current, so nothing repairs them.
absl::Status VerifyAfter(const Damage& damage) {
  Graph graph = ParseGraph(kNet);
  class Host : public TestHost {
   public:
    Host(Graph& graph, const Damage& damage) : graph_(graph), damage_(damage) {}
    void Print(absl::string_view) override {
      if (std::exchange(done_, true)) return;
      damage_.apply(*graph_.FindNode(damage_.node)->mutable_metadata().mutable_common());
    }

   private:
    Graph& graph_;
    const Damage& damage_;
    bool done_ = false;
  } host(graph, damage);
  return RunPasses({MakePass("report_node_type"), MakePass("verify_metadata")}, graph, host).status;
}

TEST(VerifyMetadataTest, EveryFaultIsNamedWithItsNode) {
  const std::vector<Damage> cases = {
      {"fc", [](auto& c) { c.set_mase_op("conv"); },
       "fc (linear): noted as 'module_related_func' 'conv', is 'module_related_func' 'linear'"},
      {"fc", [](auto& c) { c.mutable_args(1)->set_precision(0, "31"); },
       "fc (linear): weight: float of 31 bits"},
      {"fc", [](auto& c) { c.mutable_args(0)->set_precision(1, "9"); },
       "fc (linear): data_in_0: precision 8/9"},
      {"fc", [](auto& c) { c.mutable_args(0)->set_precision(0, "0"); }, "precision 0/4"},
      {"fc", [](auto& c) { c.mutable_args(0)->set_precision(1, "-1"); }, "precision 8/-1"},
      {"fc", [](auto& c) { c.mutable_args(1)->set_type("fixed"); },
       "weight: type 'fixed', but the node is quantized as integer"},
      {"relu", [](auto& c) { c.mutable_args(0)->set_type("integer"); },
       "relu (relu): data_in_0: type 'integer', but the node is not quantized"},
      {"conv", [](auto& c) { c.clear_args(); }, "conv (conv2d): no entry data_in_0"},
      {"conv", [](auto& c) { c.mutable_args()->RemoveLast(); }, "conv (conv2d): no entry bias"},
      {"conv", [](auto& c) { c.clear_results(); }, "relu (relu): data_in_0: conv has no entry"},
      {"flatten", [](auto& c) { c.mutable_args(0)->set_shape(0, 9); },
       "flatten (flatten): data_in_0 is float32[9, 4, 4, 4], but relu makes float32[8, 4, 4, 4]"},
      {"relu", [](auto& c) { c.mutable_results(0)->set_shape(0, 9); },
       "relu (relu): makes [9, 4, 4, 4] of [8, 4, 4, 4] (and 1 more)"},
      {"conv", [](auto& c) { c.mutable_args(1)->set_shape(1, 2); },
       "conv (conv2d): weight has shape [4, 2, 3, 3], but in_channels / groups is 3"},
      {"fc", [](auto& c) { c.mutable_args(2)->set_shape(0, 6); },
       "fc (linear): bias has shape [6], but out_features is 5"},
  };
  for (const Damage& damage : cases) {
    EXPECT_THAT(VerifyAfter(damage),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(damage.message)));
  }
}

}  // namespace
}  // namespace mase
