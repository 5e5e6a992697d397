// Plugins for plugin_loader_test: one good one, and one for every way to be refused.
// The BUILD file compiles this once for each, with FIXTURE_<NAME> defined.
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "google/protobuf/empty.pb.h"
#include "mase/plugin/plugin.h"

namespace mase {
namespace {

[[maybe_unused]] constexpr char kSummary[] = "Does nothing.";

class FixturePass final : public Pass {
 public:
  using Options = google::protobuf::Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<FixturePass>();
  }
  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

[[maybe_unused]] absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<FixturePass>("fixture_pass", kSummary, {.kind = PassKind::kAnalysis});
}

[[maybe_unused]] void RegisterRaw(PassRegistrar* registrar) { registrar->Run(Register); }

}  // namespace

int MissingFromEveryHost();

}  // namespace mase

#if defined(FIXTURE_data_entry)  // The entry point's name on a number.
extern "C" {
extern __attribute__((visibility("default"))) const int kNumber asm("MasePluginGetInfo");
const int kNumber = 5;
}

#elif defined(FIXTURE_exiting)  // Ends the program before anybody asks it anything.
__attribute__((constructor)) void Leave() { std::exit(0); }
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.0", mase::Register)

#elif defined(FIXTURE_good) || defined(FIXTURE_twin)
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.2.3", mase::Register)

#elif defined(FIXTURE_shadow)  // Has the name of a bundled pass.
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.0", [](mase::PassRegistrar& registrar) {
  return registrar.AddPass<mase::FixturePass>("bundled_pass", mase::kSummary);
})

#elif defined(FIXTURE_repeat)  // Has a pass twice.
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.0", [](mase::PassRegistrar& registrar) {
  const absl::Status first = mase::Register(registrar);
  return first.ok() ? mase::Register(registrar) : first;
})

#elif defined(FIXTURE_throwing)
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.0", [](mase::PassRegistrar& registrar) -> absl::Status {
  mase::Register(registrar).IgnoreError();
  throw std::runtime_error("no licence");
})

#elif defined(FIXTURE_undefined)
MASE_DEFINE_PLUGIN(FIXTURE_STEM, "1.0", [](mase::PassRegistrar& registrar) {
  return mase::MissingFromEveryHost() == 0 ? mase::Register(registrar) : absl::OkStatus();
})

#elif !defined(FIXTURE_no_entry)
namespace {
const MasePluginInfo kInfo = {
#if defined(FIXTURE_other_size)
    .struct_size = sizeof(MasePluginInfo) + 8,
#else
    .struct_size = sizeof(MasePluginInfo),
#endif
#if defined(FIXTURE_other_abi)
    .abi_version = 99,
#else
    .abi_version = mase::kMasePluginAbiVersion,
#endif
#if defined(FIXTURE_other_build)
    .build_signature = "gcc7;std201402",
#else
    .build_signature = MASE_BUILD_SIGNATURE,
#endif
#if defined(FIXTURE_other_name)
    .name = "somebody_else",
#else
    .name = FIXTURE_STEM,
#endif
    .version = "1.0",
#if defined(FIXTURE_null_field)
    .register_passes = nullptr,
#elif defined(FIXTURE_escaping)  // Breaks the rule that exceptions stay inside.
    .register_passes = [](mase::PassRegistrar*) { throw 42; },
#else
    .register_passes = mase::RegisterRaw,
#endif
};
}  // namespace
extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return &kInfo; }
#endif
