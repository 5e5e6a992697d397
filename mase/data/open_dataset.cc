#include "mase/data/open_dataset.h"

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/image_folder.h"
#include "mase/data/images.h"
#include "mase/data/jsc.h"
#include "mase/data/jsc_sim.h"
#include "mase/data/preprocess.h"
#include "mase/data/row_sketch.h"
#include "mase/data/tabular.h"
#include "mase/data/toy_tiny.h"

namespace mase {
namespace {

using Opener =
    std::function<absl::StatusOr<Dataset>(const DatasetConfig& config, const OpenOptions& options)>;

// One data set: a new one is one more entry of Entries().
struct Entry {
  std::string name;
  std::string description;
  std::vector<std::string> fields;  // Of DatasetConfig that it understands.
  Opener open;
};

// True if the net was trained on the training rows of just this split.
bool WasTrainedOn(const DataRecipe& recipe, const Dataset& dataset) {
  const auto train = dataset.Get(Split::kTrain), test = dataset.Get(Split::kTest);
  const auto trained = RowSketch::Read(recipe.trained_on());
  if (!train.ok() || !test.ok() || !trained.ok()) return false;
  const RowSketch rows = RowSketch::Of(train->row_ids.data<int64_t>());
  RowSketch both = rows;
  both.Merge(*trained);
  return both == rows && trained->Find(train->row_ids.data<int64_t>()).rows > 0;
}

// The user's own files, which may hold anything.
absl::StatusOr<Dataset> OpenCsv(const DatasetConfig& config, const OpenOptions& options) {
  TabularSet set;
  set.name = "csv";
  set.kind = "rows of the given files";
  if (config.path().empty() || !options.for_test) return OpenTabular(set, config, options);
  if (options.recipe != nullptr && !options.recipe->dataset().path().empty()) {
    absl::StatusOr<Dataset> dataset = OpenTabular(set, config, options);
    if (dataset.ok() && WasTrainedOn(*options.recipe, *dataset)) return dataset;
  }
  DatasetConfig whole = config;
  whole.set_test(config.path());
  whole.clear_path();
  return OpenTabular(set, whole, options);
}

// A bundled public table of testdata/tabular.
Entry PublicTable(std::string name, absl::string_view file, std::string description) {
  TabularSet set;
  set.name = name;
  set.real = true;
  set.kind = "real rows";
  set.bundled = absl::StrCat("tabular/", file);
  set.standardize = true;
  return {std::move(name),
          std::move(description),
          {"standardize", "validation_split"},
          [set](const auto&... given) { return OpenTabular(set, given...); }};
}

const std::vector<Entry>& Entries() {
  static const auto* const entries = new std::vector<Entry>{
      {"toy_tiny",
       "10,240 simulated samples of 1x2x2 per split, 2 classes",
       {"validation_split"},
       [](const DatasetConfig&, const OpenOptions& options) { return OpenToyTiny(options); }},
      {"jsc",
       "jets, 16 features, 5 classes: 1,000 real test rows, or all rows from a file (--set "
       "dataset.path=FILE, see docs/data.md); jsc-sim has simulated ones to train on",
       {"path", "train", "validation", "test", "label", "standardize", "validation_split"},
       OpenJsc},
      {"jsc-sim",
       "simulated jets, 16 features, 5 classes, any number of rows",
       {"rows", "standardize", "validation_split"},
       OpenJscSim},
      {"mnist",
       "handwritten digits, 60,000 + 10,000 real images of 1x28x28, 10 classes",
       {"path", "validation_split"},
       [](const auto&... given) {
         return OpenMnist("mnist", Runfile("testdata/mnist"), given...);
       }},
      {"fashion-mnist",
       "clothes, as mnist; from Debian's dataset-fashion-mnist or a path",
       {"path", "validation_split"},
       [](const auto&... given) {
         return OpenMnist("fashion-mnist", "/usr/share/datasets/fashion-mnist", given...);
       }},
      {"cifar10",
       "photographs, 3x32x32, 10 classes: 4,000 + 1,000 real images, or the full set's folder",
       {"path", "augment", "validation_split"},
       OpenCifar10},
      {"image_folder",
       "your own PNG and JPEG files, a folder for each class",
       {"path", "train", "validation", "test", "validation_split"},
       OpenImageFolder},
      {"csv",
       "your own CSV, ARFF, LIBSVM, NumPy or HDF5 files",
       {"path", "train", "validation", "test", "label", "features", "standardize",
        "validation_split"},
       OpenCsv},
      PublicTable("iris", "iris.csv", "flowers, 150 real rows, 4 features, 3 classes"),
      PublicTable("wine", "wine.csv", "178 real rows, 13 features, 3 classes"),
      PublicTable("breast_cancer", "breast_cancer.csv.gz", "569 real rows, 30 features, 2 classes"),
      PublicTable("digits8x8", "digits8x8.csv.gz",
                  "handwritten digits, 1,797 real rows, 64 pixels, 10 classes"),
      PublicTable("dry_bean", "dry_bean.csv.gz", "13,611 real rows, 16 features, 7 classes"),
      PublicTable("htru2_pulsar", "htru2_pulsar.csv.gz", "17,898 real rows, 8 features, 2 classes"),
      PublicTable("letter_recognition", "letter_recognition.csv.gz",
                  "20,000 real rows, 16 features, 26 classes"),
  };
  return *entries;
}

std::string Canonical(absl::string_view name) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"-", "_"}});
}

absl::StatusOr<const Entry*> FindEntry(absl::string_view name) {
  const std::string wanted = name.empty() ? "csv" : Canonical(name);
  std::vector<std::string> names;
  for (const Entry& entry : Entries()) {
    if (Canonical(entry.name) == wanted) return &entry;
    names.push_back(entry.name);
  }
  std::error_code unused;
  if (std::filesystem::exists(std::string(name), unused)) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown data set '", name, "'; of a file say: --set dataset.path=", name));
  }
  const std::string hint = Suggest(name, names);
  return absl::NotFoundError(
      absl::StrCat("unknown data set '", name, "'",
                   hint.empty() ? absl::StrCat("; known: ", absl::StrJoin(names, ", ")) : hint));
}

// Refuses settings that would silently do nothing.
absl::Status CheckFields(const Entry& entry, const DatasetConfig& config) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  config.GetReflection()->ListFields(config, &set);
  for (const google::protobuf::FieldDescriptor* field : set) {
    const std::string& name = field->name();
    const bool for_all = name == "name" || name == "seed" || name == "recipe";
    if (for_all || absl::c_linear_search(entry.fields, name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("data set ", entry.name, " has no use for '", name,
                     "'; it takes: ", absl::StrJoin(entry.fields, ", ")));
  }
  return absl::OkStatus();
}

// `dataset` with `fraction` of its training rows as the validation split. The same rows, in the
// same order, as scikit-learn's train_test_split(test_size=fraction, random_state=seed) gives.
absl::StatusOr<Dataset> HoldOut(const Dataset& dataset, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset.validation_split ", fraction, ": want above 0 and below 1"));
  }
  if (seed > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset.seed ", seed, ": rows are held out by a generator of NumPy's, whose ",
                     "seeds are at most ", std::numeric_limits<uint32_t>::max()));
  }
  if (!dataset.Has(Split::kTrain)) return dataset.Get(Split::kTrain).status();
  const auto part = [dataset, fraction, seed](bool held_out) -> absl::StatusOr<SplitData> {
    MASE_ASSIGN_OR_RETURN(const SplitData train, dataset.Get(Split::kTrain));
    const RowSplit split = SplitRows(train.rows(), fraction, static_cast<uint32_t>(seed));
    const std::vector<int64_t>& rows = held_out ? split.test : split.train;
    std::string origin = absl::StrFormat("%s %g of the training rows, seed %d: %s",
                                         held_out ? "held-out" : "without the held-out", fraction,
                                         seed, train.origin);
    return SplitData{TakeRows(train.features, rows), TakeRows(train.labels, rows),
                     std::move(origin), TakeRows(train.row_ids, rows)};
  };
  Dataset divided = dataset;
  divided.Set(Split::kTrain, [part] { return part(false); });
  divided.Set(Split::kValidation, [part] { return part(true); });
  return divided;
}

}  // namespace

absl::StatusOr<Dataset> OpenDataset(const DatasetConfig& config, const OpenOptions& options) {
  MASE_ASSIGN_OR_RETURN(const Entry* entry, FindEntry(config.name()));
  MASE_RETURN_IF_ERROR(CheckFields(*entry, config));
  MASE_ASSIGN_OR_RETURN(const Dataset dataset, entry->open(config, options));
  // Settings of a training may come along where a file is only tested.
  const bool no_training = options.for_test && !dataset.Has(Split::kTrain);
  if (!config.has_validation_split() || no_training) return dataset;
  return HoldOut(dataset, config.validation_split(), config.seed());
}

std::vector<KnownDataset> KnownDatasets() {
  std::vector<KnownDataset> known;
  for (const Entry& entry : Entries()) known.push_back({entry.name, entry.description});
  return known;
}

}  // namespace mase
