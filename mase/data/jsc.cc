#include "mase/data/jsc.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/data/tabular.h"

namespace mase {

const std::vector<std::string>& JscFeatures() {
  static const auto* const features = new std::vector<std::string>{
      "j_zlogz",         "j_c1_b0_mmdt",    "j_c1_b1_mmdt", "j_c1_b2_mmdt",
      "j_c2_b1_mmdt",    "j_c2_b2_mmdt",    "j_d2_b1_mmdt", "j_d2_b2_mmdt",
      "j_d2_a1_b1_mmdt", "j_d2_a1_b2_mmdt", "j_m2_b1_mmdt", "j_m2_b2_mmdt",
      "j_n2_b1_mmdt",    "j_n2_b2_mmdt",    "j_mass_mmdt",  "j_multiplicity"};
  return *features;
}

const std::vector<std::string>& JscClasses() {
  static const auto* const classes = new std::vector<std::string>{"g", "q", "w", "z", "t"};
  return *classes;
}

absl::StatusOr<Standardizer> BundledJscStandardizer() {
  const std::string path = Runfile("testdata/jsc/jsc_train664k_scaler.csv");
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, limits::kMaxConfigFileBytes));
  std::vector<double> mean, scale;
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  for (size_t i = 1; i < lines.size(); ++i) {  // feature,mean,std
    const std::vector<absl::string_view> cells = absl::StrSplit(lines[i], ',');
    if (cells.size() != 3 || i > JscFeatures().size() || cells[0] != JscFeatures()[i - 1] ||
        !absl::SimpleAtod(cells[1], &mean.emplace_back()) ||
        !absl::SimpleAtod(cells[2], &scale.emplace_back())) {
      return absl::DataLossError(absl::StrCat(path, ":", i + 1, ": '", lines[i], "'"));
    }
  }
  if (mean.size() != JscFeatures().size())
    return absl::DataLossError(absl::StrCat(path, ": short"));
  return Standardizer(std::move(mean), std::move(scale));
}

absl::StatusOr<Dataset> OpenJsc(const DatasetConfig& config, const OpenOptions& options) {
  TabularSet set;
  set.name = "jsc";
  set.real = true;
  set.kind = "real rows";
  set.features = JscFeatures();
  set.classes = JscClasses();
  set.hdf5_dataset = "t_allpar_new";
  for (const std::string& name : JscClasses()) set.one_hot.push_back(absl::StrCat("j_", name));
  set.distinct_rows = true;
  set.standardize = true;
  MASE_ASSIGN_OR_RETURN(set.scaler, BundledJscStandardizer());
  const bool given = !config.path().empty() || !config.train().empty() ||
                     !config.validation().empty() || !config.test().empty();
  if (given) return OpenTabular(set, config, options);
  DatasetConfig bundled = config;
  bundled.set_test(Runfile("testdata/jsc/jsc_openml_test1000.csv.gz"));
  return OpenTabular(set, bundled, options);
}

}  // namespace mase
