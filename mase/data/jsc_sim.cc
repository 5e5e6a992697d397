#include "mase/data/jsc_sim.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/random.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/jsc.h"
#include "mase/data/row_sketch.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

constexpr int kClasses = 5;
constexpr int kComponents = 3;
constexpr int kScores = 15;  // Features with a score of their own.
constexpr int kLanes = 16;   // Scores, padded for vectors.
constexpr int kFeatures = 16;
constexpr int kCopied = 8;  // j_d2_a1_b1_mmdt,
constexpr int kCopyOf = 6;  // of j_d2_b1_mmdt.
constexpr int kMultiplicity = 15;
constexpr int kQuantiles = 200;
constexpr int64_t kBlockRows = 1024;
constexpr int64_t kDefaultRows = 200'000;
constexpr int64_t kFirstTestRow = 160'000;

struct Component {
  float weight_below = 0;  // Weights up to and with this component.
  std::array<float, kLanes> mean = {};
  std::array<std::array<float, kLanes>, kScores> cholesky = {};  // By column.
};

struct Simulator {
  std::array<float, kClasses> prior_below;
  std::array<std::array<Component, kComponents>, kClasses> components;
  std::array<std::array<double, kQuantiles>, kFeatures> quantiles;
};

// Reads the mixture; throws what nlohmann::json throws for a missing or mistyped part.
void ParseMixture(const std::string& text, Simulator& simulator) {
  const nlohmann::json mixture = nlohmann::json::parse(text);
  float prior_below = 0;
  for (int c = 0; c < kClasses; ++c) {
    simulator.prior_below[c] = prior_below += mixture.at("prior").at(c).get<float>();
    float weight_below = 0;
    for (int m = 0; m < kComponents; ++m) {
      const nlohmann::json& source = mixture.at("components").at(c).at(m);
      Component& component = simulator.components[c][m];
      component.weight_below = weight_below += source.at("weight").get<float>();
      for (int i = 0; i < kScores; ++i) {
        component.mean[i] = source.at("mean").at(i).get<float>();
        for (int j = 0; j <= i; ++j) {
          component.cholesky[j][i] = source.at("cholesky_lower").at(i).at(j).get<float>();
        }
      }
    }
  }
}

absl::Status ParseQuantiles(const std::string& text, Simulator& simulator) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (lines.size() != kQuantiles + 1) return absl::DataLossError("want a header and 200 lines");
  for (int k = 0; k < kQuantiles; ++k) {
    const std::vector<absl::string_view> cells = absl::StrSplit(lines[k + 1], ',');
    if (cells.size() != kFeatures + 1) return absl::DataLossError("want 17 columns");
    for (int f = 0; f < kFeatures; ++f) {
      if (!absl::SimpleAtod(cells[f + 1], &simulator.quantiles[f][k])) {
        return absl::DataLossError(absl::StrCat("line ", k + 2, ": '", cells[f + 1], "'"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Simulator>> LoadSimulator() {
  auto simulator = std::make_shared<Simulator>();
  const std::string mixture = Runfile("testdata/jsc/jsc_sim_gmm.json");
  const std::string quantiles = Runfile("testdata/jsc/jsc_train664k_quantiles.csv");
  MASE_ASSIGN_OR_RETURN(std::string text, ReadFile(mixture, limits::kMaxConfigFileBytes));
  try {
    ParseMixture(text, *simulator);
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(absl::StrCat(mixture, ": ", e.what()));
  }
  MASE_ASSIGN_OR_RETURN(text, ReadFile(quantiles, limits::kMaxConfigFileBytes));
  MASE_RETURN_IF_ERROR(Annotate(ParseQuantiles(text, *simulator), quantiles));
  return simulator;
}

// The coefficients of z, z^3, ... in Phi(z) - 1/2 = sum (-1)^n z^(2n+1) / (2^n n! (2n+1) sqrt(2
// pi)). 24 of them leave an error below 1e-12 where |z| <= 2.6.
constexpr int kTerms = 24;
constexpr double kMaxScore = 2.6;  // Beyond the outermost quantiles, which are at 2.578.

constexpr std::array<double, kTerms> PhiCoefficients() {
  std::array<double, kTerms> coefficients = {};
  double power = 0.39894228040143267794;  // 1 / sqrt(2 pi).
  for (int n = 0; n < kTerms; ++n) {
    coefficients[n] = power / (2 * n + 1);
    power *= -0.5 / (n + 1);
  }
  return coefficients;
}

void Phi(const float* z, double* u) {
  static constexpr std::array<double, kTerms> kCoefficients = PhiCoefficients();
  std::array<double, kLanes> x, square, sum;
  for (int i = 0; i < kLanes; ++i) {
    x[i] = std::clamp<double>(z[i], -kMaxScore, kMaxScore);
    square[i] = x[i] * x[i];
    sum[i] = 0;
  }
  for (int n = kTerms - 1; n >= 0; --n) {
    for (int i = 0; i < kLanes; ++i) sum[i] = sum[i] * square[i] + kCoefficients[n];
  }
  for (int i = 0; i < kLanes; ++i) u[i] = 0.5 + x[i] * sum[i];
}

double Quantile(const std::array<double, kQuantiles>& quantiles, double u) {
  const double place = std::clamp(u * (kQuantiles + 1) - 1, 0.0, kQuantiles - 1.0);
  const int below = std::min(static_cast<int>(place), kQuantiles - 2);
  return quantiles[below] + (place - below) * (quantiles[below + 1] - quantiles[below]);
}

void SimulateRow(const Simulator& simulator, const Component& component, const float* normals,
                 float* row) {
  std::array<float, kLanes> z = component.mean;
  for (int j = 0; j < kScores; ++j) {
    for (int i = 0; i < kLanes; ++i) z[i] += component.cholesky[j][i] * normals[j];
  }
  std::array<double, kLanes> u;
  Phi(z.data(), u.data());
  for (int i = 0; i < kScores; ++i) {
    const int feature = i < kCopied ? i : i + 1;
    const double value = Quantile(simulator.quantiles[feature], u[i]);
    row[feature] = static_cast<float>(feature == kMultiplicity ? std::nearbyint(value) : value);
  }
  row[kCopied] = row[kCopyOf];
}

// The part of one block that lies in rows [begin, end). `features` and `labels` are row `begin`'s.
void SimulateBlock(const Simulator& simulator, uint64_t block_seed, int64_t block, int64_t begin,
                   int64_t end, float* features, int64_t* labels) {
  std::vector<float> choice(2 * kBlockRows);
  std::vector<float> normals(kBlockRows * kScores);
  TorchGenerator generator(block_seed);
  generator.FillUniform(absl::MakeSpan(choice), 0, 1);
  generator.FillNormal(absl::MakeSpan(normals), 0, 1);
  const int64_t first = block * kBlockRows;
  for (int64_t row = std::max(first, begin); row < std::min(first + kBlockRows, end); ++row) {
    const int64_t at = row - first;
    int c = 0;  // The last ones take what rounding leaves.
    while (c + 1 < kClasses && choice[at] >= simulator.prior_below[c]) ++c;
    const auto& components = simulator.components[c];
    int m = 0;
    while (m + 1 < kComponents && choice[kBlockRows + at] >= components[m].weight_below) ++m;
    SimulateRow(simulator, components[m], &normals[at * kScores],
                features + (row - begin) * kFeatures);
    labels[row - begin] = c;
  }
}

// Rows [begin, end) of the stream of `seed`.
void Simulate(const Simulator& simulator, uint64_t seed, int64_t begin, int64_t end,
              float* features, int64_t* labels) {
  TorchGenerator seeds(seed);
  std::vector<uint64_t> block_seeds;
  for (int64_t row = 0; row < end; row += kBlockRows) block_seeds.push_back(seeds.Int63());
  const int64_t blocks = static_cast<int64_t>(block_seeds.size());
#pragma omp parallel for schedule(static) if (end - begin > 8 * kBlockRows)
  for (int64_t b = begin / kBlockRows; b < blocks; ++b) {
    SimulateBlock(simulator, block_seeds[b], b, begin, end, features, labels);
  }
}

// The first `rows` rows of a split, before standardizing.
SplitData SimulateSplit(const Simulator& simulator, uint64_t seed, Split split, int64_t rows) {
  SplitData data;
  data.features = Tensor(DType::kFloat32, {rows, kFeatures});
  data.labels = Tensor(DType::kInt64, {rows});
  float* const features = data.features.mutable_data<float>().data();
  int64_t* const labels = data.labels.mutable_data<int64_t>().data();
  if (split == Split::kTest) {
    Simulate(simulator, seed, kFirstTestRow, kFirstTestRow + rows, features, labels);
  } else {
    const int64_t first = std::min(rows, kFirstTestRow);
    Simulate(simulator, seed, 0, first, features, labels);
    Simulate(simulator, ~seed, first, rows, features + first * kFeatures, labels + first);
  }
  data.row_ids = RowIds(data.features, data.labels);
  return data;
}

}  // namespace

absl::StatusOr<Dataset> OpenJscSim(const DatasetConfig& config, const OpenOptions& options) {
  const int64_t rows = config.rows() != 0 ? config.rows() : kDefaultRows;
  if (rows < 2 || rows > limits::kMaxDataRows) {
    return absl::InvalidArgumentError(absl::StrCat("data set jsc-sim: dataset.rows ", rows,
                                                   ": want 2 to ", limits::kMaxDataRows));
  }
  DatasetInfo info;
  info.name = "jsc-sim";
  info.real = false;
  info.kind = "simulated rows";
  info.class_names = JscClasses();
  info.sample_shape = Shape({kFeatures});
  info.feature_names = JscFeatures();
  info.label = "class";
  if (options.recipe != nullptr) MASE_RETURN_IF_ERROR(CheckFits(*options.recipe, info));
  const auto notes = std::make_shared<Notes>();
  const Scaling scaling = ChooseScaling(config, options, /*set_default=*/true, *notes);
  if (scaling.wanted) {
    MASE_ASSIGN_OR_RETURN(info.scaler, BundledJscStandardizer());
    if (scaling.known.has_value()) info.scaler = scaling.known;
  }
  Dataset dataset(info, notes);
  const auto set = [&, seed = config.seed()](Split split, int64_t count) {
    std::string origin = absl::StrCat("the first ", WithCommas(count), " simulated ",
                                      SplitName(split), " jets, seed ", seed);
    dataset.Set(split, [=, scaler = info.scaler]() -> absl::StatusOr<SplitData> {
      MASE_ASSIGN_OR_RETURN(const auto simulator, LoadSimulator());
      SplitData data = SimulateSplit(*simulator, seed, split, count);
      data.origin = origin;
      if (scaler.has_value()) data.features = scaler->Apply(std::move(data.features));
      return data;
    });
  };
  const int64_t test = (rows + 4) / 5;
  set(Split::kTrain, rows - test);
  set(Split::kTest, test);
  dataset.SetAlias(Split::kValidation, Split::kTrain, "the training split again, as MASE does");
  dataset.SetAlias(Split::kPred, Split::kTest, "the test split");
  return dataset;
}

}  // namespace mase
