#include "mase/run/predictions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/files.h"
#include "mase/base/status.h"
#include "mase/base/writable.h"
#include "mase/exec/classification.h"
#include "mase/interop/npy.h"

namespace mase {
namespace {

// RFC 4180.
std::string Cell(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) return std::string(text);
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// The shortest text that reads back to the same float.
void AppendScore(float value, std::string* csv) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  absl::StrAppend(csv, std::isnan(value) ? "nan" : absl::string_view(text, end.ptr - text));
}

// The outputs of a row with the highest scores, best first.
std::vector<int64_t> TopOutputs(absl::Span<const float> scores, int64_t count) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int64_t a, int64_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  order.resize(count);
  return order;
}

// The softmax of one score.
float ShareOf(absl::Span<const float> scores, int64_t output, int64_t top) {
  double sum = 0;
  for (const float score : scores) {
    sum += score == scores[top] ? 1 : std::exp(static_cast<double>(score) - scores[top]);
  }
  const bool is_top = scores[output] == scores[top];
  const double of = is_top ? 1 : std::exp(static_cast<double>(scores[output]) - scores[top]);
  return static_cast<float>(of / sum);
}

std::string Csv(const Predictions& predictions) {
  const int64_t known = static_cast<int64_t>(predictions.class_names.size());
  const auto name = [&](int64_t i) {
    return Cell(i < known ? predictions.class_names[i] : absl::StrCat("output ", i));
  };
  const int64_t top_k = std::min(predictions.top_k, predictions.outputs);
  std::string csv = "row,predicted,predicted_name,true,true_name";
  for (int64_t i = 1; i <= top_k; ++i) absl::StrAppend(&csv, ",top", i, "_name,top", i, "_share");
  for (int64_t i = 0; i < predictions.outputs; ++i) {
    const std::string of = i < known ? predictions.class_names[i] : absl::StrCat("output ", i);
    absl::StrAppend(&csv, ",", Cell(absl::StrCat("score_", of)));
  }
  csv += "\n";
  const absl::Span<const float> scores = predictions.scores;
  for (int64_t row = 0; (row + 1) * predictions.outputs <= static_cast<int64_t>(scores.size());
       ++row) {
    const auto of_row = scores.subspan(row * predictions.outputs, predictions.outputs);
    absl::StrAppend(&csv, row);
    const int64_t label = predictions.labels.empty() ? -1 : predictions.labels[row];
    for (const int64_t index : {TopClass(of_row), label}) {
      if (index < 0) {
        csv += ",,";
      } else {
        absl::StrAppend(&csv, ",", index, ",", name(index));
      }
    }
    const bool decided = TopClass(of_row) >= 0;
    if (!decided) csv.append(2 * top_k, ',');
    for (const int64_t output : decided ? TopOutputs(of_row, top_k) : std::vector<int64_t>()) {
      absl::StrAppend(&csv, ",", name(output), ",");
      AppendScore(ShareOf(of_row, output, TopClass(of_row)), &csv);
    }
    for (const float score : of_row) {
      csv += ",";
      AppendScore(score, &csv);
    }
    csv += "\n";
  }
  return csv;
}

}  // namespace

absl::Status CheckPredictionsPath(absl::string_view path) {
  if (absl::EndsWith(path, ".npy") || absl::EndsWith(path, ".csv")) {
    return Annotate(CheckWritable(path), "--predictions");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--predictions=", path, ": the name must end in .csv (a table with the classes, ",
      "for people and spreadsheets) or .npy (the scores, for NumPy)"));
}

absl::Status WritePredictions(const std::string& path, const Predictions& predictions) {
  if (absl::Status status = CheckPredictionsPath(path); !status.ok()) return status;
  if (absl::EndsWith(path, ".csv")) return WriteNamedFile(path, Csv(predictions));
  const int64_t rows = static_cast<int64_t>(predictions.scores.size()) / predictions.outputs;
  return WriteNpy(path, Tensor::FromValues<float>({rows, predictions.outputs}, predictions.scores));
}

}  // namespace mase
