#include "mase/data/tabular.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/data/file_bytes.h"
#include "mase/data/preprocess.h"
#include "mase/data/table.h"

namespace mase {
namespace {

constexpr double kTestFraction = 0.2;  // MASE's numbers.
constexpr uint32_t kSplitSeed = 42;

absl::StatusOr<Table> ReadAnyTable(const TabularSet& set, const std::string& path,
                                   const DatasetConfig& config) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Map(path));
  if (!IsHdf5(file.bytes())) return ReadTable(path, {config.label(), set.features});
  if (set.hdf5_dataset.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": an HDF5 file; data set ", set.name,
                                                   " is read from CSV and ARFF files"));
  }
  return ReadHdf5Table(path, {set.hdf5_dataset, set.features, set.one_hot, set.classes});
}

// Makes the data set around splits that are in memory.
Dataset MakeDataset(const TabularSet& set, std::string source, std::vector<std::string> classes,
                    const std::map<Split, SplitData>& splits) {
  DatasetInfo info;
  info.name = set.name;
  info.real = set.real;
  info.kind = set.kind;
  info.source = std::move(source);
  info.class_names = std::move(classes);
  info.sample_shape = Shape({splits.begin()->second.features.shape()[1]});
  Dataset dataset(std::move(info));
  for (const auto& [split, data] : splits) dataset.Set(split, [data] { return data; });
  return dataset;
}

absl::Status StandardizeAll(std::map<Split, SplitData>& splits) {
  const auto train = splits.find(Split::kTrain);
  if (train == splits.end()) {
    return absl::InvalidArgumentError(
        "dataset.standardize needs a training file, whose mean and deviation it uses");
  }
  const Standardizer standardizer = Standardizer::Fit(train->second.features);
  for (auto& [split, data] : splits) {
    data.features = standardizer.Apply(std::move(data.features));
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> OpenOneFile(const TabularSet& set, const DatasetConfig& config,
                                    const std::string& path, bool standardize) {
  MASE_ASSIGN_OR_RETURN(Table table, ReadAnyTable(set, path, config));
  std::vector<std::string> classes =
      set.classes.empty() ? OrderClasses(table.class_texts) : set.classes;
  MASE_ASSIGN_OR_RETURN(const Tensor labels, LabelsAsClasses(table, classes));
  std::vector<int64_t> kept;
  if (set.distinct_rows) kept = DistinctRows(table);
  const int64_t rows = set.distinct_rows ? kept.size() : table.rows();
  RowSplit split = SplitRows(rows, kTestFraction, kSplitSeed);
  if (split.train.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", rows, " row leaves none to train on"));
  }
  const std::string all =
      absl::StrCat(WithCommas(rows), set.distinct_rows ? " distinct" : "", " rows of ", path);
  const auto take = [&](std::vector<int64_t>& chosen, std::string origin) {
    if (set.distinct_rows) {
      for (int64_t& row : chosen) row = kept[row];
    }
    return SplitData{TakeRows(table.features, chosen), TakeRows(labels, chosen), std::move(origin)};
  };
  std::map<Split, SplitData> splits;
  splits[Split::kTrain] = take(split.train, absl::StrCat("80 % of ", all, ", seed 42"));
  splits[Split::kTest] = take(split.test, absl::StrCat("the other 20 % of ", all));
  table = Table();
  if (standardize) MASE_RETURN_IF_ERROR(StandardizeAll(splits));
  Dataset dataset = MakeDataset(set, all, std::move(classes), splits);
  dataset.SetAlias(Split::kValidation, Split::kTrain, "the training split again, as MASE does");
  dataset.SetAlias(Split::kPred, Split::kTest, "the test split");
  return dataset;
}

absl::Status CheckSameFeatures(const std::string& path, const Table& table,
                               const std::string& first_path, const Table& first) {
  if (table.feature_names.size() != first.feature_names.size()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", table.feature_names.size(),
                                                   " features, but ", first_path, " has ",
                                                   first.feature_names.size()));
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
  std::map<Split, Table> tables;
  for (const auto& [split, path] : paths) {
    MASE_ASSIGN_OR_RETURN(tables[split], ReadAnyTable(set, path, config));
    MASE_RETURN_IF_ERROR(
        CheckSameFeatures(path, tables[split], paths.begin()->second, tables.begin()->second));
  }
  std::vector<std::string> classes =
      set.classes.empty() ? OrderClasses(tables.begin()->second.class_texts) : set.classes;
  std::map<Split, SplitData> splits;
  std::vector<std::string> sources;
  for (const auto& [split, table] : tables) {
    MASE_ASSIGN_OR_RETURN(Tensor labels, LabelsAsClasses(table, classes));
    const std::string& path = paths.at(split);
    splits[split] = {table.features, std::move(labels), absl::StrCat("all rows of ", path)};
    sources.push_back(absl::StrCat(WithCommas(table.rows()), " rows of ", path));
  }
  tables.clear();
  if (standardize) MASE_RETURN_IF_ERROR(StandardizeAll(splits));
  return MakeDataset(set, absl::StrJoin(sources, ", "), std::move(classes), splits);
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
