#include "mase/train/testing_data.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/format/format.h"
#include "mase/model/zoo.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

constexpr int64_t kFeatures = 16, kClasses = 5;

SplitData MakeSplit(uint32_t seed, int64_t rows) {
  std::array<double, kFeatures * kClasses> weights;
  NumpyGenerator weight_generator(7);
  for (double& w : weights) w = weight_generator.Uniform() - 0.5;

  NumpyGenerator generator(seed);
  std::vector<float> features;
  std::vector<int64_t> labels;
  for (int64_t row = 0; row < rows; ++row) {
    std::array<double, kClasses> scores = {};
    for (int64_t i = 0; i < kFeatures; ++i) {
      const double x = generator.Uniform() * 4 - 2;
      features.push_back(static_cast<float>(x));
      for (int64_t k = 0; k < kClasses; ++k) scores[k] += x * weights[i * kClasses + k];
    }
    labels.push_back(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  return {Tensor::FromValues<float>({rows, kFeatures}, features),
          Tensor::FromValues<int64_t>({rows}, labels), "made for a test"};
}

}  // namespace

Dataset LinearJets(int64_t train_rows, int64_t validation_rows) {
  Dataset dataset({.name = "linear-jets",
                   .kind = "generated rows",
                   .class_names = {"a", "b", "c", "d", "e"},
                   .sample_shape = {kFeatures}});
  dataset.Set(Split::kTrain, [=] { return MakeSplit(0, train_rows); });
  dataset.Set(Split::kValidation, [=] { return MakeSplit(1, validation_rows); });
  dataset.Set(Split::kTest, [=] { return MakeSplit(2, validation_rows); });
  return dataset;
}

FreshModel BuildFresh(absl::string_view model, const Dataset& dataset) {
  FreshModel fresh;
  fresh.graph = ValueOrDie(BuildModel({.model = std::string(model),
                                       .input = dataset.info().sample_shape,
                                       .classes = dataset.num_classes()},
                                      &fresh.generator));
  return fresh;
}

void QuantizeNodes(absl::string_view op, absl::string_view format, Graph& graph,
                   const std::vector<std::string>& operands) {
  const auto parsed = ValueOrDie(Format::FromText(format));
  Quantization record;
  record.set_format(std::string(parsed->family()));
  for (const std::string& name : operands) {
    OperandFormat* operand = record.add_operand();
    operand->set_operand(name);
    *operand->mutable_format() = parsed->proto();
  }
  for (Node* node : graph.NodesInOrder()) {
    if (node->op() == op) graph.SetQuantization(node, record);
  }
}

std::string EmptyTestFolder(absl::string_view name) {
  const std::string folder =
      absl::StrCat(::testing::TempDir(), "/",
                   ::testing::UnitTest::GetInstance()->current_test_info()->name(), "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TrainerOptions OptionsWith(const std::string& settings) {
  TrainerOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(settings, &options.settings))
      << settings;
  return options;
}

TrainingResult Train(absl::string_view model, const Dataset& dataset, const TrainerOptions& options,
                     const std::string& folder) {
  FreshModel fresh = BuildFresh(model, dataset);
  auto trainer =
      ValueOrDie(Trainer::Create(std::move(fresh.graph), dataset, fresh.generator, options));
  return ValueOrDie(trainer->Run(folder));
}

std::vector<double> LoggedValues(const std::string& folder, absl::string_view tag) {
  std::vector<double> values;
  const std::string text = ValueOrDie(ReadFile(folder + "/metrics.jsonl", 1 << 28));
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const auto parsed = nlohmann::json::parse(line.begin(), line.end());
    const auto value = parsed.find(std::string(tag));
    if (value != parsed.end()) values.push_back(value->is_null() ? NAN : value->get<double>());
  }
  return values;
}

}  // namespace mase
