#include "mase/data/tabular.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_cache.h"
#include "mase/data/file_bytes.h"
#include "mase/data/labels.h"
#include "mase/data/npy.h"
#include "mase/data/preprocess.h"
#include "mase/data/table.h"

namespace mase {
namespace {

constexpr double kTestFraction = 0.2;  // MASE's numbers.
constexpr uint32_t kSplitSeed = 42;

absl::StatusOr<DataTable> ReadAnyTable(const TabularSet& set, const std::string& path,
                                       const DatasetConfig& config) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Map(path));
  const bool numpy = IsNpy(file.bytes()) || IsNpz(file.bytes());
  if (numpy && set.features.empty()) return ReadNumpyTable(path, file.bytes(), config.label());
  if (numpy) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": a NumPy file has no column names, by which data set ", set.name, " is read"));
  }
  TableColumns columns{config.label(), set.features};
  if (columns.features.empty()) {
    columns.features.assign(config.features().begin(), config.features().end());
  }
  if (!IsHdf5(file.bytes())) return ReadTable(path, columns);
  if (set.hdf5_dataset.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": an HDF5 file; data set ", set.name, " is not read from those"));
  }
  return ReadHdf5Table(path, {set.hdf5_dataset, set.features, set.one_hot, set.classes});
}

Shape SampleShape(const Tensor& features) { return Shape(features.shape().dims().subspan(1)); }

DatasetInfo MakeInfo(const TabularSet& set, std::string source, std::vector<std::string> classes,
                     const Tensor& features) {
  DatasetInfo info;
  info.name = set.name;
  info.real = set.real;
  info.kind = set.kind;
  info.source = std::move(source);
  info.class_names = std::move(classes);
  info.sample_shape = SampleShape(features);
  return info;
}

absl::Status CheckCanStandardize(const Tensor& features) {
  if (features.shape().rank() == 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "dataset.standardize: features ", features.shape().ToString(), ", want [rows, features]"));
}

// The order of the tensors that ReadAndSplit makes.
enum { kTrainFeatures, kTrainLabels, kTestFeatures, kTestLabels };

// Everything that makes the two parts of one file, ready to be kept. The texts are the classes.
absl::StatusOr<CachedData> ReadAndSplit(const TabularSet& set, const DatasetConfig& config,
                                        const std::string& path, bool standardize) {
  MASE_ASSIGN_OR_RETURN(DataTable table, ReadAnyTable(set, path, config));
  CachedData parts;
  parts.notes = table.notes;
  parts.texts = set.classes.empty() ? OrderClasses(table.class_texts) : set.classes;
  if (std::string note = ClassesNote(table.class_texts, parts.texts);
      set.classes.empty() && !note.empty()) {
    parts.notes.push_back(absl::StrCat(path, ": ", note));
  }
  MASE_ASSIGN_OR_RETURN(const Tensor labels, LabelsAsClasses(table, parts.texts));
  std::vector<int64_t> kept;
  if (set.distinct_rows) kept = DistinctRows(table);
  const int64_t rows = set.distinct_rows ? kept.size() : table.rows();
  RowSplit split = SplitRows(rows, kTestFraction, kSplitSeed);
  if (split.train.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", rows, " row leaves none to train on"));
  }
  for (std::vector<int64_t>* chosen : {&split.train, &split.test}) {
    if (set.distinct_rows) {
      for (int64_t& row : *chosen) row = kept[row];
    }
    parts.tensors.push_back(TakeRows(table.features, *chosen));
    parts.tensors.push_back(TakeRows(labels, *chosen));
  }
  if (!standardize) return parts;
  MASE_RETURN_IF_ERROR(CheckCanStandardize(parts.tensors[kTrainFeatures]));
  const Standardizer standardizer = Standardizer::Fit(parts.tensors[kTrainFeatures]);
  for (const int i : {kTrainFeatures, kTestFeatures}) {
    parts.tensors[i] = standardizer.Apply(std::move(parts.tensors[i]));
  }
  return parts;
}

// All that ReadAndSplit's result depends on besides the file. The number is the code's version.
std::string Recipe(const TabularSet& set, const DatasetConfig& config, bool standardize) {
  return absl::StrCat(
      "table 2 label=", config.label(), " features=", absl::StrJoin(set.features, ","), ";",
      absl::StrJoin(config.features(), ","), " classes=", absl::StrJoin(set.classes, ","),
      " hdf5=", set.hdf5_dataset, " one_hot=", absl::StrJoin(set.one_hot, ","),
      " distinct=", set.distinct_rows, " standardize=", standardize);
}

absl::StatusOr<Dataset> OpenOneFile(const TabularSet& set, const DatasetConfig& config,
                                    const std::string& path, bool standardize) {
  const auto notes = std::make_shared<Notes>();
  MASE_ASSIGN_OR_RETURN(const CachedData parts,
                        LoadOrBuild(
                            {path}, Recipe(set, config, standardize),
                            [&] { return ReadAndSplit(set, config, path, standardize); }, *notes));
  SplitData train = {parts.tensors[kTrainFeatures], parts.tensors[kTrainLabels], ""};
  SplitData test = {parts.tensors[kTestFeatures], parts.tensors[kTestLabels], ""};
  const std::string all = absl::StrCat(WithCommas(train.rows() + test.rows()),
                                       set.distinct_rows ? " distinct" : "", " rows of ", path);
  train.origin = absl::StrCat("80 % of ", all, ", seed 42");
  test.origin = absl::StrCat("the other 20 % of ", all);
  Dataset dataset(MakeInfo(set, all, parts.texts, train.features), notes);
  dataset.Set(Split::kTrain, [train] { return train; });
  dataset.Set(Split::kTest, [test] { return test; });
  dataset.SetAlias(Split::kValidation, Split::kTrain, "the training split again, as MASE does");
  dataset.SetAlias(Split::kPred, Split::kTest, "the test split");
  return dataset;
}

absl::Status CheckSameFeatures(const std::string& path, const DataTable& table,
                               const std::string& first_path, const DataTable& first) {
  const Shape shape = SampleShape(table.features);
  const Shape first_shape = SampleShape(first.features);
  if (shape != first_shape) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": samples of shape ", shape.ToString(),
                                                   ", in ", first_path, " ",
                                                   first_shape.ToString()));
  }
  for (size_t i = 0; i < table.feature_names.size(); ++i) {
    if (table.feature_names[i] == first.feature_names[i]) continue;
    return absl::InvalidArgumentError(absl::StrCat(path, ": feature ", i, " is '",
                                                   table.feature_names[i], "', in ", first_path,
                                                   " it is '", first.feature_names[i], "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> OpenFilePerSplit(const TabularSet& set, const DatasetConfig& config,
                                         const std::map<Split, std::string>& paths,
                                         bool standardize) {
  // The first file, the training file if there is one, says what the features and classes are.
  std::map<Split, DataTable> tables;
  const auto notes = std::make_shared<Notes>();
  for (const auto& [split, path] : paths) {
    MASE_ASSIGN_OR_RETURN(tables[split], ReadAnyTable(set, path, config));
    for (const std::string& note : tables[split].notes) notes->Add(note);
    MASE_RETURN_IF_ERROR(
        CheckSameFeatures(path, tables[split], paths.begin()->second, tables.begin()->second));
  }
  std::vector<std::string> classes =
      set.classes.empty() ? OrderClasses(tables.begin()->second.class_texts) : set.classes;
  if (std::string note = ClassesNote(tables.begin()->second.class_texts, classes);
      set.classes.empty() && !note.empty()) {
    notes->Add(absl::StrCat(paths.begin()->second, ": ", note));
  }
  std::vector<std::string> sources;
  for (const auto& [split, path] : paths) {
    sources.push_back(absl::StrCat(WithCommas(tables[split].rows()), " rows of ", path));
  }
  std::optional<Standardizer> standardizer;
  if (standardize) {
    if (tables.count(Split::kTrain) == 0) {
      return absl::InvalidArgumentError(
          "dataset.standardize needs a training file, whose mean and deviation it uses");
    }
    MASE_RETURN_IF_ERROR(CheckCanStandardize(tables[Split::kTrain].features));
    standardizer = Standardizer::Fit(tables[Split::kTrain].features);
  }
  Dataset dataset(
      MakeInfo(set, absl::StrJoin(sources, ", "), classes, tables.begin()->second.features), notes);
  for (auto& [split, table] : tables) {
    SplitData data;
    MASE_ASSIGN_OR_RETURN(data.labels, LabelsAsClasses(table, classes));
    data.features = std::move(table.features);
    if (standardizer) data.features = standardizer->Apply(std::move(data.features));
    data.origin = absl::StrCat("all rows of ", paths.at(split));
    dataset.Set(split, [data] { return data; });
  }
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> OpenTabular(const TabularSet& set, const DatasetConfig& config) {
  const bool standardize = config.has_standardize() ? config.standardize() : set.standardize;
  std::map<Split, std::string> paths;
  if (!config.train().empty()) paths[Split::kTrain] = config.train();
  if (!config.validation().empty()) paths[Split::kValidation] = config.validation();
  if (!config.test().empty()) paths[Split::kTest] = config.test();
  if (paths.empty()) {
    std::string path = config.path();
    if (path.empty() && !set.bundled.empty())
      path = Runfile(absl::StrCat("testdata/", set.bundled));
    if (path.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "data set ", set.name, ": no file given (dataset.path, or dataset.train and others)"));
    }
    return OpenOneFile(set, config, path, standardize);
  }
  if (!config.path().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data set ", set.name, ": dataset.path and a file per split exclude each other"));
  }
  return OpenFilePerSplit(set, config, paths, standardize);
}

}  // namespace mase
