// Example plugin: a pass that runs the net and looks at what activations give. A unit that is the
// same for every row tells the layers after it nothing.
//
//   SDK=/path/to/mase-sdk-1.3.0
//   protoc -I. -I$SDK/include --cpp_out=. dead_units_options.proto
//   g++ -O2 $(PKG_CONFIG_PATH=$SDK/lib/pkgconfig pkg-config --cflags --libs mase-sdk) -I.
//       -o dead_units.so dead_units.cc dead_units_options.pb.cc                     (one line)
//   $SDK/bin/ch transform jsc-tiny jsc --plugins=./dead_units.so --set=passes.dead_units={}
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dead_units_options.pb.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"

namespace dead_units {

using mase::Graph;
using mase::Node;
using mase::Tensor;

class DeadUnitsPass final : public mase::Pass {
 public:
  using Options = DeadUnitsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<DeadUnitsPass>(options);
  }

  explicit DeadUnitsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<mase::PassResult> Run(Graph& graph, mase::PassContext& context) const override {
    std::vector<std::string> names;
    for (const Node* node : graph.NodesInOrder()) {
      if (node->Is(mase::OpTrait::kActivation)) names.push_back(node->name());
    }
    MASE_ASSIGN_OR_RETURN(const mase::SampleRows rows,
                          context.Samples(options_.rows(), options_.split()));
    MASE_ASSIGN_OR_RETURN(const auto values, context.RunNet(graph, rows.inputs, names));
    mase::Table table("dead_units", "Units that are the same for " + rows.caption,
                      {{"node"}, {"units"}, {"dead"}, {"share", "%", 1}});
    for (size_t i = 0; i < names.size(); ++i) {
      MASE_RETURN_IF_ERROR(context.Progress(static_cast<int64_t>(i), names.size(), "node"));
      const Tensor& value = values.at(names[i]);
      const int64_t count = value.shape()[0], units = value.elements() / count;
      int64_t dead = 0;
      for (int64_t unit = 0; unit < units; ++unit) dead += IsDead(value, count, units, unit);
      table.AddRow({names[i], units, dead, 100.0 * dead / units});
      context.Count("dead", static_cast<double>(dead));
    }
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    return mase::PassResult::Unchanged();
  }

 private:
  static bool IsDead(const Tensor& value, int64_t rows, int64_t units, int64_t unit) {
    const absl::Span<const float> all = value.data<float>();
    for (int64_t row = 1; row < rows; ++row) {
      if (all[row * units + unit] != all[unit]) return false;
    }
    return true;
  }

  const Options options_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddPass<DeadUnitsPass>("dead_units", "Finds units that never change.",
                                          {.kind = mase::PassKind::kAnalysis});
}

}  // namespace dead_units

MASE_DEFINE_PLUGIN("dead_units", "1.0.0", dead_units::Register, .owner = "MASE in C++",
                   .status = "stable")
