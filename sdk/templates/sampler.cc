// Plugin `@NAME@`: a sampler, Latin hypercubes: of each block of trials every parameter has a value
// from each equal part of its range once (McKay, Beckman and Conover, 1979). A block has as many
// trials as `population_size` of the settings says, or 16.
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "mase/plugin/plugin.h"
#include "mase/sampler/proposer.h"

namespace @NAME@ {

class @CLASS@ final : public mase::Proposer {
 public:
  explicit @CLASS@(const mase::SamplerSpec& spec) : spec_(spec) {}

  mase::Point Propose(int64_t number, const mase::TrialHistory&, absl::Span<const mase::Trial>,
                      mase::Draws& draws) override {
    const int64_t block = spec_.settings.has_population_size() ? spec_.settings.population_size() : 16;
    // The same for all trials of a block; those of trials have numbers from 0 on.
    mase::Draws of_block(spec_.seed, -1 - number / block);
    mase::Point point(spec_.space.dimensions(), mase::kInactive);
    for (size_t i = 0; i < point.size(); ++i) {
      const double part = static_cast<double>(Shuffled(block, of_block)[number % block]);
      const double unit = (part + draws.Unit()) / static_cast<double>(block);
      if (spec_.space.IsActive(i, point)) point[i] = mase::AtUnit(spec_.space[i], unit);
    }
    return point;
  }

 private:
  // 0 to count - 1 in random order.
  static std::vector<int64_t> Shuffled(int64_t count, mase::Draws& draws) {
    std::vector<int64_t> numbers(count);
    for (int64_t i = 0; i < count; ++i) {
      numbers[i] = i;
      std::swap(numbers[i], numbers[draws.Index(i + 1)]);
    }
    return numbers;
  }

  const mase::SamplerSpec spec_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddSampler(
      {.name = "@NAME@",
       .summary = "Latin hypercubes: each part of each range once in a block of trials.",
       .create =
           [](const mase::SamplerSpec& spec) -> absl::StatusOr<std::unique_ptr<mase::Proposer>> {
         return std::make_unique<@CLASS@>(spec);
       }});
}

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
