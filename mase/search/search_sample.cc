#include "mase/search/search_sample.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/mix64.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/shape_inference.h"
#include "mase/search/objective.h"

namespace mase {
namespace {

// What measures trials counts by class. Nets that score no classes are refused where they run.
absl::Status CheckLabels(const Tensor& labels, const Graph& net) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(net));
  if (net.output()->inputs().size() != 1) return absl::OkStatus();
  const Shape& output = shapes.shape(net.output()->inputs()[0]);
  if (output.rank() != 2) return absl::OkStatus();
  for (const int64_t label : labels.data<int64_t>()) {
    if (label < 0 || label >= output[1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("the data has the label ", label, ", but the net has only ", output[1],
                       " outputs; search a net that was made for this data"));
    }
  }
  return absl::OkStatus();
}

// The rows of the settings' split, without recalls.
absl::StatusOr<SearchSample> DrawRows(const SearchSettings& settings, const RunConfig& config,
                                      const Session& session) {
  const BasicEvaluation& runner = settings.strategy().sw_runner().basic_evaluation();
  const Split split =
      runner.data_loader() == "train_dataloader" ? Split::kTrain : Split::kValidation;
  absl::StatusOr<SplitData> data = OpenSplit(session, split);
  if (!data.ok()) {
    return Annotate(data.status(), absl::StrCat("trials are measured on the ", SplitName(split),
                                                " split, and never on the test split"));
  }
  MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
  MASE_RETURN_IF_ERROR(CheckLabels(data->labels, session.graph));
  const int64_t all = data->rows();
  const int64_t wanted = runner.num_samples() > 0 ? runner.num_samples()
                         : settings.strategy().sw_runner().has_basic_evaluation() ? all
                                                                                  : int64_t{512};
  SearchSample sample{data->features, data->labels, config.batch_size(), caption, {}, {}};
  if (wanted >= all) return sample;
  std::vector<int64_t> rows(static_cast<size_t>(all));
  std::iota(rows.begin(), rows.end(), 0);
  for (int64_t i = 0; i < wanted; ++i) {  // The first steps of a shuffle.
    const uint64_t draw = Mix64(config.seed(), static_cast<uint64_t>(i));
    std::swap(rows[i], rows[i + static_cast<int64_t>(draw % static_cast<uint64_t>(all - i))]);
  }
  rows.resize(static_cast<size_t>(wanted));
  absl::c_sort(rows);
  Shape shape = data->features.shape();
  shape.set_dim(0, wanted);
  sample.features = Tensor(DType::kFloat32, shape);
  sample.labels = Tensor(DType::kInt64, {wanted});
  const int64_t size = data->features.elements() / all;
  for (int64_t i = 0; i < wanted; ++i) {
    const float* row = data->features.data<float>().data() + rows[i] * size;
    std::copy(row, row + size, sample.features.mutable_data<float>().data() + i * size);
    sample.labels.mutable_data<int64_t>()[i] = data->labels.data<int64_t>()[rows[i]];
  }
  sample.caption = absl::StrCat(WithCommas(wanted), " of ", caption);
  return sample;
}

}  // namespace

absl::StatusOr<SearchSample> DrawSample(const SearchSettings& settings, const RunConfig& config,
                                        const Session& session,
                                        const std::set<std::string>& metrics) {
  MASE_ASSIGN_OR_RETURN(SearchSample sample, DrawRows(settings, config, session));
  for (const MetricDefinition* metric : OwnMetrics()) {
    if (metrics.contains(metric->name)) sample.own.push_back(metric);
  }
  const std::vector<std::string>& classes = session.dataset.info().class_names;
  for (size_t i = 0; i < classes.size(); ++i) {
    const std::string metric = absl::StrCat(kRecallOf, classes[i]);
    if (!metrics.contains(metric)) continue;
    const auto label = static_cast<int64_t>(i);
    if (!absl::c_linear_search(sample.labels.data<int64_t>(), label)) {
      return absl::InvalidArgumentError(
          absl::StrCat(metric, ": none of ", sample.caption, " is of class ", classes[i],
                       "; want more num_samples in [search.strategy.sw_runner.basic_evaluation]"));
    }
    sample.recalls.emplace_back(label, metric);
  }
  return sample;
}

}  // namespace mase
