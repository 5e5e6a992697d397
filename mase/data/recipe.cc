#include "mase/data/recipe.h"

#include <cmath>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/text_error.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

constexpr char kOverride[] = "; dataset.recipe=false reads the data without the net's recipe";

DatasetConfig WithoutFolders(DatasetConfig config) {
  const auto name = [](const std::string& path) {
    return std::filesystem::path(path).filename().string();
  };
  if (!config.path().empty()) config.set_path(name(config.path()));
  if (!config.train().empty()) config.set_train(name(config.train()));
  if (!config.validation().empty()) config.set_validation(name(config.validation()));
  if (!config.test().empty()) config.set_test(name(config.test()));
  config.clear_recipe();
  return config;
}

using Names = google::protobuf::RepeatedPtrField<std::string>;

absl::Status CheckDistinct(const Names& names, absl::string_view what, int64_t limit) {
  if (names.size() > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat(names.size(), " ", what, ", more than the limit of ", limit));
  }
  std::set<absl::string_view> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      return absl::DataLossError(absl::StrCat("two ", what, " named '", name, "'"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScaler(const DataRecipe& recipe) {
  const Scaler& scaler = recipe.scaler();
  if (scaler.mean_size() != scaler.scale_size() || recipe.sample_shape_size() != 1 ||
      recipe.sample_shape(0) != scaler.mean_size()) {
    return absl::DataLossError(absl::StrCat("a scaler of ", scaler.mean_size(), " means and ",
                                            scaler.scale_size(), " scales"));
  }
  for (int i = 0; i < scaler.mean_size(); ++i) {
    if (std::isfinite(scaler.mean(i)) && std::isfinite(scaler.scale(i)) && scaler.scale(i) > 0) {
      continue;
    }
    return absl::DataLossError(
        absl::StrCat("feature ", i, ": mean ", scaler.mean(i), ", scale ", scaler.scale(i)));
  }
  return absl::OkStatus();
}

absl::Status Check(const DataRecipe& recipe) {
  MASE_RETURN_IF_ERROR(CheckDistinct(recipe.feature(), "features", limits::kMaxDataColumns));
  MASE_RETURN_IF_ERROR(CheckDistinct(recipe.class_name(), "classes", limits::kMaxClasses));
  const Shape shape(
      absl::MakeConstSpan(recipe.sample_shape().data(), recipe.sample_shape().size()));
  MASE_RETURN_IF_ERROR(shape.Validate());
  if (recipe.feature_size() > 0 && recipe.feature_size() != shape.elements()) {
    return absl::DataLossError(
        absl::StrCat(recipe.feature_size(), " features, samples of shape ", shape.ToString()));
  }
  if (recipe.has_scaler()) MASE_RETURN_IF_ERROR(CheckScaler(recipe));
  return RowSketch::Read(recipe.trained_on()).status();
}

// `what` number i is `ours` in the data set, `theirs` in the recipe.
template <typename Ours>
absl::Status CheckSame(const Ours& ours, const Names& theirs, absl::string_view what,
                       const std::string& set) {
  if (static_cast<int>(ours.size()) != theirs.size()) {
    return absl::InvalidArgumentError(absl::StrCat("data set ", set, " has ", ours.size(), " ",
                                                   what, ", the net was trained on ", theirs.size(),
                                                   kOverride));
  }
  for (int i = 0; i < theirs.size(); ++i) {
    if (ours[i] == theirs[i]) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("data set ", set, ": number ", i, " of the ", what, " is '", ours[i],
                     "', the net was trained with '", theirs[i], "' there", kOverride));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DataRecipe> DescribeData(const Dataset& dataset, const DatasetConfig& config,
                                        absl::Span<const Split> splits) {
  const DatasetInfo& info = dataset.info();
  DataRecipe recipe;
  *recipe.mutable_dataset() = WithoutFolders(config);
  recipe.mutable_dataset()->set_name(info.name);
  recipe.mutable_feature()->Assign(info.feature_names.begin(), info.feature_names.end());
  for (const int64_t extent : info.sample_shape.dims()) recipe.add_sample_shape(extent);
  recipe.set_label(info.label);
  recipe.mutable_class_name()->Assign(info.class_names.begin(), info.class_names.end());
  recipe.mutable_left_out()->Assign(info.left_out.begin(), info.left_out.end());
  if (info.scaler.has_value()) *recipe.mutable_scaler() = ToProto(*info.scaler);
  if (info.augmentation.has_value()) {
    Augmentation* augmentation = recipe.mutable_augmentation();
    augmentation->set_padding(info.augmentation->padding);
    augmentation->set_flip(info.augmentation->flip);
    augmentation->mutable_black()->Assign(info.augmentation->black.begin(),
                                          info.augmentation->black.end());
  }
  for (const Split split : splits) {
    if (!dataset.Has(split)) continue;
    MASE_ASSIGN_OR_RETURN(const SplitData data, dataset.Get(split));
    SplitRecipe* described = recipe.add_split();
    described->set_name(std::string(SplitName(split)));
    described->set_rows(data.rows());
    described->set_rule(data.origin);
  }
  return recipe;
}

std::string RecipeText(const DataRecipe& recipe) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(recipe, &text);
  return text;
}

absl::StatusOr<DataRecipe> ReadRecipe(absl::string_view text) {
  DataRecipe recipe;
  FirstTextError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(limits::kMaxConfigNesting);
  if (!parser.ParseFromString(std::string(text), &recipe)) {
    return absl::DataLossError(absl::StrCat("the data recipe: ", error.text()));
  }
  const absl::Status valid = Check(recipe);
  if (valid.ok()) return recipe;
  return absl::DataLossError(absl::StrCat("the data recipe: ", valid.message()));
}

absl::Status CheckFits(const DataRecipe& recipe, const DatasetInfo& info) {
  MASE_RETURN_IF_ERROR(CheckSame(info.class_names, recipe.class_name(), "classes", info.name));
  if (recipe.has_scaler() && recipe.scaler().mean_size() != info.sample_shape.elements()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data set ", info.name, ": samples of shape ", info.sample_shape.ToString(),
        ", the net's recipe scales ", recipe.scaler().mean_size(), " features", kOverride));
  }
  if (recipe.feature().empty() || info.feature_names.empty()) return absl::OkStatus();
  return CheckSame(info.feature_names, recipe.feature(), "features", info.name);
}

Scaling ChooseScaling(const DatasetConfig& config, const OpenOptions& options, bool set_default,
                      Notes& notes) {
  if (options.recipe == nullptr) {
    return {config.has_standardize() ? config.standardize() : set_default};
  }
  const bool trained = options.recipe->has_scaler();
  if (config.has_standardize() && config.standardize() != trained) {
    notes.Warn(absl::StrCat("dataset.standardize=", trained ? "false" : "true",
                            " holds, but the net was trained on features that were ",
                            trained ? "standardized" : "as they are in the file"));
    return {config.standardize()};
  }
  if (!trained) return {};
  return {true, FromProto(options.recipe->scaler())};
}

Scaler ToProto(const Standardizer& standardizer) {
  Scaler scaler;
  scaler.mutable_mean()->Assign(standardizer.mean().begin(), standardizer.mean().end());
  scaler.mutable_scale()->Assign(standardizer.scale().begin(), standardizer.scale().end());
  return scaler;
}

Standardizer FromProto(const Scaler& scaler) {
  return Standardizer({scaler.mean().begin(), scaler.mean().end()},
                      {scaler.scale().begin(), scaler.scale().end()});
}

}  // namespace mase
