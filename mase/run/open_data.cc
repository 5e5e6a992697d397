#include "mase/run/open_data.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/open_dataset.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

constexpr char kOwnFiles[] = "csv";

bool NamesFiles(const DatasetConfig& data) {
  return !data.path().empty() || !data.train().empty() || !data.validation().empty() ||
         !data.test().empty();
}

// The settings of the training's data, where they are the same set and were not given now.
DatasetConfig Complete(const DatasetConfig& given, const DataRecipe& recipe) {
  const DatasetConfig& trained = recipe.dataset();
  const bool same =
      given.name().empty() ? !NamesFiles(given) : EditDistance(given.name(), trained.name()) == 0;
  if (!same) return given;
  DatasetConfig complete = trained;
  complete.clear_path();
  complete.clear_train();
  complete.clear_validation();
  complete.clear_test();
  if (given.features_size() > 0) complete.clear_features();
  complete.MergeFrom(given);
  complete.set_name(trained.name());
  return complete;
}

// What `complete` has and `given` has not: "rows: 2000 standardize: true".
std::string Added(const DatasetConfig& given, DatasetConfig complete) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  given.GetReflection()->ListFields(given, &fields);
  for (const auto* field : fields) complete.GetReflection()->ClearField(&complete, field);
  return complete.ShortDebugString();
}

absl::Status NoData(const RunConfig& config, const std::optional<DataRecipe>& recipe) {
  if (!recipe.has_value()) {
    const std::string& model = config.model().name();
    return absl::InvalidArgumentError(absl::StrCat(
        "No model and/or dataset provided! These are required. Missing is ",
        model.empty() ? "a model, and behind it " : "", "a data set, as in `",
        model.empty() ? "jsc-tiny" : model,
        " jsc-sim`; `ch datasets` lists them, --set dataset.path=FILE is one of your own"));
  }
  const DatasetConfig& data = recipe->dataset();
  const std::string& file = data.path().empty() ? data.train() : data.path();
  if (file.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no data; the net was trained on data set '",
                                                   data.name(), "': --dataset=", data.name()));
  }
  return absl::InvalidArgumentError(absl::StrCat("no data: the net was trained on files (", file,
                                                 "); name one with --set dataset.test=FILE"));
}

}  // namespace

void ReportNotes(const Dataset& dataset, Reporter& reporter) {
  for (const Notes::Note& note : dataset.notes().Take()) {
    reporter.Message(note.warning ? LogLevel::kWarning : LogLevel::kInfo, note.text);
  }
}

absl::StatusOr<OpenedData> OpenData(const RunConfig& config, absl::string_view action,
                                    const std::optional<OpenedCheckpoint>& opened,
                                    const RunEnvironment& environment) {
  Reporter& reporter = environment.reporter;
  std::optional<DataRecipe> recipe;
  if (opened.has_value()) recipe = opened->checkpoint.recipe;
  DatasetConfig data = config.dataset();
  const bool under_recipe = recipe.has_value() && (!data.has_recipe() || data.recipe());
  if (under_recipe && action != "train") {
    data = Complete(config.dataset(), *recipe);
  }
  const bool named = NamesFiles(data) || (!data.name().empty() && data.name() != kOwnFiles);
  if (!named) return NoData(config, recipe);
  const std::string added = Added(config.dataset(), data);
  if (!added.empty()) reporter.Info(absl::StrCat("Data as in training: ", added));
  const std::string name = data.name().empty() ? kOwnFiles : data.name();
  reporter.Info(absl::StrCat("Initialising dataset '", name, "'..."));
  if (opened.has_value() && !recipe.has_value()) {
    reporter.Warn(absl::StrCat(opened->path,
                               " carries no data recipe: classes, features and scaling "
                               "are those of the data and settings at hand"));
  } else if (recipe.has_value() && !under_recipe) {
    reporter.Warn(
        "dataset.recipe=false: the data are not read as those that the net was trained on");
  }
  OpenOptions options{.recipe = under_recipe ? &*recipe : nullptr, .for_test = action == "test"};
  MASE_ASSIGN_OR_RETURN(Dataset dataset, environment.data != nullptr
                                             ? environment.data->Open(data, options)
                                             : OpenDataset(data, options));
  ReportNotes(dataset, reporter);
  if (under_recipe && dataset.name() != recipe->dataset().name()) {
    reporter.Info(absl::StrCat("The net was trained on data set '", recipe->dataset().name(),
                               "'; this is '", dataset.name(), "', read in the same way"));
  }
  return OpenedData{std::move(dataset), std::move(data), std::move(recipe)};
}

absl::StatusOr<DataRecipe> RecipeOfTraining(const OpenedData& data) {
  MASE_ASSIGN_OR_RETURN(
      DataRecipe recipe,
      DescribeData(data.dataset, data.config, {Split::kTrain, Split::kValidation, Split::kTest}));
  MASE_ASSIGN_OR_RETURN(const SplitData train, data.dataset.Get(Split::kTrain));
  RowSketch rows = RowSketch::Of(train.row_ids.data<int64_t>());
  if (data.recipe.has_value()) {
    MASE_ASSIGN_OR_RETURN(const RowSketch before, RowSketch::Read(data.recipe->trained_on()));
    rows.Merge(before);
  }
  recipe.set_trained_on(rows.Text());
  return recipe;
}

absl::StatusOr<std::optional<DataRecipe>> RecipeOfTransform(const OpenedData& data,
                                                            bool untrained) {
  if (data.recipe.has_value()) return data.recipe;
  if (data.dataset.name() == kOwnFiles && !data.dataset.Has(Split::kTrain)) return std::nullopt;
  MASE_ASSIGN_OR_RETURN(DataRecipe recipe, DescribeData(data.dataset, data.config, {}));
  recipe.set_untrained(untrained);
  return recipe;
}

std::string OverlapWarning(const std::optional<DataRecipe>& recipe, Split split,
                           const SplitData& data) {
  if (!recipe.has_value() || split == Split::kTrain) return "";
  const absl::StatusOr<RowSketch> trained_on = RowSketch::Read(recipe->trained_on());
  if (!trained_on.ok() || trained_on->empty()) return "";
  const RowSketch::Overlap overlap = trained_on->Find(data.row_ids.data<int64_t>());
  if (overlap.rows == 0) return "";
  return absl::StrCat("the net was trained on ", overlap.exact ? "" : "about ",
                      WithCommas(overlap.rows), " of the ", WithCommas(data.rows()),
                      " rows measured (", SplitName(split), " split: ", data.origin,
                      "), for example row ", overlap.found[0], " of them, counted from 0");
}

}  // namespace mase
