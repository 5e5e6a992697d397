#include "mase/plugin/conformance.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/plugin/conformance_checks.h"
#include "mase/plugin/run_apart.h"
#include "mase/sampler/sampler.h"

namespace mase {
namespace {

constexpr int kSeconds = 60;  // For one check.
constexpr int64_t kMaxBytes = int64_t{1} << 30;

// Runs a check apart, and looks at what else it did.
ConformanceCheck Run(std::string of, std::string what,
                     const std::function<absl::Status()>& function) {
  const Apart apart = RunApart(function, kSeconds);
  ConformanceCheck check = {std::move(of), std::move(what), apart.status, apart.seconds,
                            apart.peak_bytes};
  if (check.status.ok() && !apart.output.empty()) {
    check.status = Wrong("it wrote to standard output or error: ",
                         Printable(apart.output.substr(0, apart.output.find('\n'))));
  }
  if (check.status.ok() && apart.peak_bytes > kMaxBytes) {
    check.status = Wrong("it took ", apart.peak_bytes >> 20, " MiB");
  }
  return check;
}

}  // namespace

std::vector<ConformanceCheck> CheckConformance(const PluginEntry& plugin, PassSource& passes) {
  std::vector<ConformanceCheck> checks;
  for (const PassEntry& entry : plugin.pass()) {
    const std::string of = absl::StrCat("pass ", entry.name());
    const absl::StatusOr<const PassInfo*> info = passes.LookUp(entry.name());
    if (!info.ok()) {
      checks.push_back({of, "is found by its name", info.status()});
      continue;
    }
    checks.push_back(Run(of, "options round trip", [&] { return OptionsRoundTrip(**info); }));
    checks.push_back(Run(of, "nets of the zoo", [&] { return OnZoo(**info, passes); }));
    checks.push_back(Run(of, absl::StrCat(kConformanceGraphs, " random graphs"),
                         [&] { return OnRandomGraphs(**info, passes); }));
  }
  for (const NamedEntry& entry : plugin.format()) {
    const std::string of = absl::StrCat("format ", entry.name());
    const Family& family = *FindFamily(entry.name());
    checks.push_back(Run(of, "rounding", [&] { return RoundingIsSound(family); }));
    checks.push_back(Run(of, "values", [&] { return ValuesAreItsOwn(family); }));
    checks.push_back(Run(of, "codes", [&] { return CodesAreSound(family); }));
    checks.push_back(Run(of, "gradient", [&] { return GradientIsFinite(family); }));
  }
  for (const NamedEntry& entry : plugin.op()) {
    const std::string of = absl::StrCat("op ", entry.name());
    const OpSchema& schema = *FindOp(entry.name());
    checks.push_back(Run(of, "forward", [&] { return OpIsSound(schema); }));
    checks.push_back(Run(of, "gradient", [&] { return OpGradientIsRight(schema); }));
  }
  for (const NamedEntry& entry : plugin.metric()) {
    checks.push_back(Run(absl::StrCat("metric ", entry.name()), "batches",
                         [&] { return MetricIsSound(*FindMetric(entry.name())); }));
  }
  for (const NamedEntry& entry : plugin.data_reader()) {
    for (const DataReader* reader : DataReaders()) {
      if (reader->name != entry.name()) continue;
      checks.push_back(Run(absl::StrCat("data reader ", entry.name()), "other files",
                           [&] { return ReaderIsSound(*reader); }));
    }
  }
  for (const NamedEntry& entry : plugin.sampler()) {
    checks.push_back(Run(absl::StrCat("sampler ", entry.name()), "points", [&]() -> absl::Status {
      MASE_ASSIGN_OR_RETURN(const SamplerDefinition* const sampler, FindSampler(entry.name()));
      return SamplerIsSound(*sampler);
    }));
  }
  return checks;
}

}  // namespace mase
