#include "mase/data/tabular.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_cache.h"
#include "mase/data/data_reader.h"
#include "mase/data/file_bytes.h"
#include "mase/data/hdf5.h"
#include "mase/data/labels.h"
#include "mase/data/numpy_table.h"
#include "mase/data/plugin_table.h"
#include "mase/data/row_sketch.h"
#include "mase/data/table.h"

namespace mase {
namespace {

constexpr int64_t kHeadBytes = 1 << 16;  // Of a file that tell what it is.
constexpr double kTestFraction = 0.2;    // MASE's numbers.
constexpr uint32_t kSplitSeed = 42;

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

// How the files of a set are read. What nobody knows beforehand is empty, until the first file says
// it; `sample` is set once all is known.
struct Reading {
  std::string label;
  std::string given_label;  // By the settings, as the next.
  std::vector<std::string> given_features;
  std::vector<std::string> features;
  std::vector<std::string> classes;
  std::vector<std::string> left_out;
  std::optional<Shape> sample;
  Scaling scaling;
};

Reading ReadingOf(const TabularSet& set, const DatasetConfig& config, const OpenOptions& options,
                  Notes& notes) {
  Reading reading = {.label = config.label(), .given_label = config.label()};
  reading.features = set.features;
  reading.given_features.assign(config.features().begin(), config.features().end());
  if (reading.features.empty()) reading.features = reading.given_features;
  reading.classes = set.classes;
  reading.scaling = ChooseScaling(config, options, set.standardize, notes);
  if (options.recipe == nullptr) return reading;
  const DataRecipe& recipe = *options.recipe;
  if (reading.label.empty()) reading.label = recipe.label();
  reading.features.assign(recipe.feature().begin(), recipe.feature().end());
  reading.classes.assign(recipe.class_name().begin(), recipe.class_name().end());
  reading.left_out.assign(recipe.left_out().begin(), recipe.left_out().end());
  reading.sample =
      Shape(absl::MakeConstSpan(recipe.sample_shape().data(), recipe.sample_shape().size()));
  return reading;
}

bool IsNumber(absl::string_view name) {
  int64_t number;
  return absl::SimpleAtoi(name, &number);
}

// Files without names for their columns count them.
bool AreNumbers(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] != absl::StrCat(i)) return false;
  }
  return true;
}

absl::StatusOr<DataTable> ReadText(const std::string& path, const Reading& reading,
                                   bool may_lack_label) {
  TableColumns columns = {reading.label, reading.features, may_lack_label};
  absl::StatusOr<DataTable> table = ReadTable(path, columns);
  if (table.ok() || reading.features.empty() || !AreNumbers(reading.features)) return table;
  columns.features.clear();  // Nobody named them: they go by place.
  absl::StatusOr<DataTable> by_place = ReadTable(path, columns);
  return by_place.ok() ? by_place : table;
}

// What to take from files whose columns have no names, but places.
TableColumns ArrayColumns(const Reading& reading, bool may_lack_label) {
  TableColumns columns = {reading.given_label, reading.given_features, may_lack_label};
  if (columns.label.empty() && may_lack_label) columns.label = reading.label;
  const bool images = reading.sample.has_value() && reading.sample->rank() != 1;
  if (!columns.features.empty() || reading.features.empty() || images) return columns;
  if (absl::c_all_of(reading.features, IsNumber)) {
    columns.features = reading.features;
  } else {
    for (size_t i = 0; i < reading.features.size(); ++i)
      columns.features.push_back(absl::StrCat(i));
  }
  return columns;
}

absl::StatusOr<DataTable> ReadAnyTable(const TabularSet& set, const std::string& path,
                                       const Reading& reading, bool may_lack_label) {
  MASE_ASSIGN_OR_RETURN(const std::string head, ReadHead(path, kHeadBytes));
  const bool numpy = IsNumpyFile(head);
  if (numpy && set.features.empty()) {
    MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Open(path));
    return ReadNumpyTable(path, file.bytes(), ArrayColumns(reading, may_lack_label));
  }
  if (numpy) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": a NumPy file has no column names, by which data set ", set.name, " is read"));
  }
  if (const DataReader* reader = FindDataReader(head); reader != nullptr) {
    return ReadPluginTable(path, *reader, {reading.label, reading.features, may_lack_label});
  }
  if (!IsHdf5(head)) return ReadText(path, reading, may_lack_label);
  if (set.hdf5_dataset.empty()) {
    return ReadHdf5(path,
                    {may_lack_label ? reading.label : reading.given_label,
                     reading.given_features.empty() ? reading.features : reading.given_features,
                     may_lack_label});
  }
  return ReadHdf5Table(path, {set.hdf5_dataset, reading.features, set.one_hot, set.classes});
}

// Takes over from the first file of a set what nobody knew of it.
void Learn(const std::string& path, DataTable& table, Reading& reading) {
  reading.label = table.label_name;
  reading.features = table.feature_names;
  reading.left_out = table.left_out;
  if (!reading.classes.empty()) return;
  reading.classes = OrderClasses(table.class_texts);
  const std::string note = ClassesNote(table.class_texts, reading.classes);
  if (!note.empty()) table.notes.push_back(absl::StrCat(path, ": ", note));
}

// Columns that the training file did not have.
void NoteUnread(const std::string& path, const Reading& reading, DataTable& table) {
  std::vector<std::string> unread;
  for (const std::string& name : table.left_out) {
    if (!name.empty() && !absl::c_linear_search(reading.left_out, name)) unread.push_back(name);
  }
  if (unread.empty()) return;
  constexpr size_t kShown = 5;
  const size_t shown = std::min(unread.size(), kShown);
  table.notes.push_back(absl::StrCat(
      FileName(path), ": not read, because the net knows nothing of it: ",
      absl::StrJoin(unread.begin(), unread.begin() + shown, ", "),
      shown < unread.size() ? absl::StrCat(" and ", unread.size() - shown, " more columns") : ""));
}

// A missing column, beside those that the net wants.
absl::Status WhatNetReads(const absl::Status& status, const Reading& reading) {
  if (!absl::StrContains(status.message(), "no column")) return status;
  constexpr size_t kShown = 8;
  const size_t shown = std::min(reading.features.size(), kShown);
  return absl::Status(
      status.code(),
      absl::StrCat(status.message(), ". The net reads ", reading.features.size(), " features: ",
                   absl::StrJoin(reading.features.begin(), reading.features.begin() + shown, ", "),
                   shown < reading.features.size() ? ", ..." : ""));
}

// Reads a file as `reading` says, which learns from the first one, and makes notes in the table.
// `may_lack_label`: then the rows may have no classes.
absl::StatusOr<DataTable> ReadFile(const TabularSet& set, const std::string& path, Reading& reading,
                                   bool may_lack_label) {
  absl::StatusOr<DataTable> read = ReadAnyTable(set, path, reading, may_lack_label);
  if (!read.ok()) {
    return reading.sample.has_value() ? WhatNetReads(read.status(), reading) : read.status();
  }
  DataTable table = *std::move(read);
  const Shape sample(table.features.shape().dims().subspan(1));
  if (!reading.sample.has_value()) {
    Learn(path, table, reading);
    reading.sample = sample;
  }
  if (sample != *reading.sample) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": samples of shape ", sample.ToString(),
                                                   ", want ", reading.sample->ToString()));
  }
  if (reading.scaling.wanted && sample.rank() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": dataset.standardize: samples of shape ",
                                                   sample.ToString(), ", want [features]"));
  }
  NoteUnread(path, reading, table);
  if (!AreNumbers(reading.features) && AreNumbers(table.feature_names)) {
    table.notes.push_back(absl::StrCat(FileName(path),
                                       " has no column names: they are taken to be ",
                                       absl::StrJoin(reading.features, ", ")));
  }
  return table;
}

DatasetInfo MakeInfo(const TabularSet& set, const Reading& reading) {
  DatasetInfo info;
  info.name = set.name;
  info.real = set.real;
  info.kind = set.kind;
  info.class_names = reading.classes;
  info.sample_shape = *reading.sample;
  info.feature_names = reading.features;
  info.label = reading.label;
  info.left_out = reading.left_out;
  if (reading.scaling.wanted) info.scaler = reading.scaling.known;
  return info;
}

// The features as the net reads them.
Tensor Scaled(Tensor features, const Reading& reading) {
  if (!reading.scaling.wanted) return features;
  return reading.scaling.known->Apply(std::move(features));
}

// The order of the tensors that ReadAndSplit makes.
enum { kTrainFeatures, kTrainLabels, kTrainIds, kTestFeatures, kTestLabels, kTestIds };

// Everything that makes the two parts of one file, ready to be kept. The text is a DataRecipe with
// what was learnt of the file.
absl::StatusOr<CachedData> ReadAndSplit(const TabularSet& set, const std::string& path,
                                        Reading reading) {
  MASE_ASSIGN_OR_RETURN(const DataTable table,
                        ReadFile(set, path, reading, /*may_lack_label=*/false));
  CachedData parts;
  parts.notes = table.notes;
  MASE_ASSIGN_OR_RETURN(const Tensor labels, LabelsAsClasses(table, reading.classes));
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
    parts.tensors.push_back(RowIds(*(parts.tensors.end() - 2), parts.tensors.back()));
  }
  if (reading.scaling.wanted && !reading.scaling.known.has_value()) {
    reading.scaling.known = Standardizer::Fit(parts.tensors[kTrainFeatures]);
  }
  for (const int i : {kTrainFeatures, kTestFeatures}) {
    parts.tensors[i] = Scaled(std::move(parts.tensors[i]), reading);
  }
  DataRecipe learnt;
  learnt.set_label(reading.label);
  learnt.mutable_feature()->Assign(reading.features.begin(), reading.features.end());
  learnt.mutable_class_name()->Assign(reading.classes.begin(), reading.classes.end());
  learnt.mutable_left_out()->Assign(reading.left_out.begin(), reading.left_out.end());
  if (reading.scaling.wanted) *learnt.mutable_scaler() = ToProto(*reading.scaling.known);
  parts.texts.push_back(learnt.SerializeAsString());
  return parts;
}

// Names as one text that no other list of names gives.
std::string Quoted(absl::Span<const std::string> names) {
  return absl::StrJoin(names, "", [](std::string* out, const std::string& name) {
    absl::StrAppend(out, name.size(), ":", name);
  });
}

// All that ReadAndSplit's result depends on besides the file. The number is the code's version.
std::string CacheKey(const TabularSet& set, const Reading& reading) {
  std::string scaler;
  if (reading.scaling.known) scaler = ToProto(*reading.scaling.known).SerializeAsString();
  return absl::StrCat("table 7 label=", Quoted({reading.label}), Quoted({reading.given_label}),
                      " features=", Quoted(reading.features), ";", Quoted(reading.given_features),
                      " classes=", Quoted(reading.classes), " hdf5=", set.hdf5_dataset,
                      " one_hot=", Quoted(set.one_hot), " distinct=", set.distinct_rows,
                      " standardize=", reading.scaling.wanted, " scaler=", scaler);
}

// Whether kept data are what ReadAndSplit makes.
bool IsSplit(const CachedData& kept) {
  DataRecipe learnt;
  if (kept.texts.size() != 1 || !learnt.ParseFromString(kept.texts[0])) return false;
  if (kept.tensors.size() != 6) return false;
  const int64_t classes = learnt.class_name_size();
  const int64_t columns = learnt.feature_size();
  for (const int part : {kTrainFeatures, kTestFeatures}) {
    const Tensor &features = kept.tensors[part], &labels = kept.tensors[part + 1],
                 &ids = kept.tensors[part + 2];
    const bool fits = features.dtype() == DType::kFloat32 && features.shape().rank() >= 2 &&
                      (columns == 0 || features.elements() == features.shape()[0] * columns) &&
                      features.shape().dims().subspan(1) ==
                          kept.tensors[kTrainFeatures].shape().dims().subspan(1) &&
                      labels.dtype() == DType::kInt64 && ids.dtype() == DType::kInt64 &&
                      labels.shape() == Shape({features.shape()[0]}) &&
                      ids.shape() == labels.shape();
    if (!fits) return false;
    for (const int64_t label : labels.data<int64_t>()) {
      if (label < 0 || label >= classes) return false;
    }
  }
  return true;
}

absl::StatusOr<Dataset> OpenOneFile(const TabularSet& set, const DatasetConfig& config,
                                    const OpenOptions& options, const std::string& path) {
  const auto notes = std::make_shared<Notes>();
  Reading reading = ReadingOf(set, config, options, *notes);
  MASE_ASSIGN_OR_RETURN(const std::string head, ReadHead(path, kHeadBytes));
  const auto split = [&] { return ReadAndSplit(set, path, reading); };
  // What a plugin read is not kept: nothing tells whether the plugin is still the same.
  absl::StatusOr<CachedData> read =
      FindDataReader(head) != nullptr
          ? split()
          : LoadOrBuild({path}, CacheKey(set, reading), IsSplit, split, *notes);
  MASE_RETURN_IF_ERROR(read.status());
  const CachedData parts = *std::move(read);
  DataRecipe learnt;
  learnt.ParseFromString(parts.texts[0]);  // It is new, or IsSplit saw that it can be read.
  SplitData train = {parts.tensors[kTrainFeatures], parts.tensors[kTrainLabels], "",
                     parts.tensors[kTrainIds]};
  SplitData test = {parts.tensors[kTestFeatures], parts.tensors[kTestLabels], "",
                    parts.tensors[kTestIds]};
  reading.label = learnt.label();
  reading.features.assign(learnt.feature().begin(), learnt.feature().end());
  reading.classes.assign(learnt.class_name().begin(), learnt.class_name().end());
  reading.left_out.assign(learnt.left_out().begin(), learnt.left_out().end());
  reading.sample = Shape(train.features.shape().dims().subspan(1));
  if (learnt.has_scaler()) reading.scaling.known = FromProto(learnt.scaler());

  const std::string all =
      absl::StrCat(WithCommas(train.rows() + test.rows()), set.distinct_rows ? " distinct" : "",
                   " rows of ", FileName(path));
  train.origin = absl::StrCat("80 % of ", all, ", seed ", kSplitSeed);
  test.origin = absl::StrCat("the other 20 % of ", all);
  Dataset dataset(MakeInfo(set, reading), notes);
  dataset.Set(Split::kTrain, [train] { return train; });
  dataset.Set(Split::kTest, [test] { return test; });
  dataset.SetAlias(Split::kValidation, Split::kTrain, "the training split again, as MASE does");
  dataset.SetAlias(Split::kPred, Split::kTest, "the test split");
  return dataset;
}

absl::StatusOr<Dataset> OpenFilePerSplit(const TabularSet& set, const DatasetConfig& config,
                                         const OpenOptions& options,
                                         const std::map<Split, std::string>& paths) {
  const auto notes = std::make_shared<Notes>();
  Reading reading = ReadingOf(set, config, options, *notes);
  std::map<Split, DataTable> tables;
  for (const auto& [split, path] : paths) {
    const bool may_lack_label = split == Split::kTest && reading.sample.has_value();
    MASE_ASSIGN_OR_RETURN(tables[split], ReadFile(set, path, reading, may_lack_label));
    for (const std::string& note : tables[split].notes) notes->Add(note);
  }
  if (reading.scaling.wanted && !reading.scaling.known.has_value()) {
    if (tables.count(Split::kTrain) > 0) {
      reading.scaling.known = Standardizer::Fit(tables[Split::kTrain].features);
    } else if (set.scaler.has_value()) {
      reading.scaling.known = set.scaler;
    } else {
      return absl::InvalidArgumentError(
          "dataset.standardize needs a training file, whose mean and deviation it uses, or a "
          "checkpoint that carries them");
    }
  }
  Dataset dataset(MakeInfo(set, reading), notes);
  for (auto& [split, table] : tables) {
    SplitData data;
    const bool labelled = !table.label_name.empty();
    data.labels = table.labels;
    if (labelled) {
      MASE_ASSIGN_OR_RETURN(data.labels, LabelsAsClasses(table, reading.classes));
    }
    data.row_ids = RowIds(table.features, data.labels);
    data.features = Scaled(std::move(table.features), reading);
    data.origin = absl::StrCat("all rows of ", FileName(paths.at(split)));
    dataset.Set(labelled ? split : Split::kPred, [data] { return data; });
    if (labelled) continue;
    notes->Add(absl::StrCat(FileName(paths.at(split)), " has no column '", reading.label,
                            "' (dataset.label can name another): its rows can be predicted, not "
                            "measured"));
  }
  if (dataset.Has(Split::kTrain) && !dataset.Has(Split::kValidation)) {
    dataset.SetAlias(Split::kValidation, Split::kTrain,
                     "the training rows again (no dataset.validation or validation_split)");
  }
  if (dataset.Has(Split::kTest)) dataset.SetAlias(Split::kPred, Split::kTest, "the test split");
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> OpenTabular(const TabularSet& set, const DatasetConfig& config,
                                    const OpenOptions& options) {
  std::map<Split, std::string> paths;
  if (!config.train().empty()) paths[Split::kTrain] = config.train();
  if (!config.validation().empty()) paths[Split::kValidation] = config.validation();
  if (!config.test().empty()) paths[Split::kTest] = config.test();
  if (paths.empty()) {
    std::string path = config.path();
    if (path.empty() && !set.bundled.empty()) {
      path = Runfile(absl::StrCat("testdata/", set.bundled));
    }
    if (path.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "data set ", set.name, ": no file given (dataset.path, or dataset.train and others)"));
    }
    return OpenOneFile(set, config, options, path);
  }
  if (!config.path().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data set ", set.name, ": dataset.path and a file per split exclude each other"));
  }
  return OpenFilePerSplit(set, config, options, paths);
}

}  // namespace mase
