#include "mase/kernel/dense/dense.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/base/mix64.h"
#include "mase/kernel/dropout.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using Kind = DenseLayer::Kind;

constexpr double kDropped = 0.2;  // By every dropout layer.
constexpr uint64_t kSeed = 11;

// A layer whose tensors lie in two vectors, one of parameters and one of buffers: their offsets, or
// -1.
struct Layer {
  Kind kind = Kind::kLinear;
  int64_t in = 0, out = 0;
  int64_t weight = -1, bias = -1, running_mean = -1, running_var = -1;
  double epsilon = 1e-5;
  bool wants_bias_gradient = true;
};

// A chain from text such as "16 linear 64 norm relu linear 5", tensors one after the other.
struct Chain {
  std::string text;
  std::vector<Layer> layers;
  int64_t parameters = 3;  // Not a multiple of anything.
  int64_t buffers = 1;
};

// The chain as DenseNet gets it: the tensors of layer i are 4 i and the next three.
std::vector<DenseLayer> DenseLayers(const Chain& chain) {
  std::vector<DenseLayer> layers;
  for (const Layer& layer : chain.layers) {
    const int first = 4 * static_cast<int>(layers.size());
    const auto position = [&](int64_t offset, int i) { return offset < 0 ? -1 : first + i; };
    layers.push_back({.kind = layer.kind,
                      .in = layer.in,
                      .out = layer.out,
                      .weight = position(layer.weight, 0),
                      .bias = position(layer.bias, 1),
                      .running_mean = position(layer.running_mean, 2),
                      .running_var = position(layer.running_var, 3),
                      .epsilon = layer.epsilon,
                      .p = kDropped,
                      .stream = layers.size()});
  }
  return layers;
}

Chain ParseChain(const std::string& text) {
  Chain chain;
  chain.text = text;
  std::istringstream words(text);
  int64_t features = 0;
  words >> features;
  for (std::string word; words >> word;) {
    Layer layer;
    layer.in = layer.out = features;
    const auto place = [](int64_t& end, int64_t size) { return (end += size) - size; };
    if (word == "linear" || word == "linear_without_bias") {
      words >> layer.out;
      layer.weight = place(chain.parameters, layer.in * layer.out);
      if (word == "linear") layer.bias = place(chain.parameters, layer.out);
    } else if (word == "norm" || word == "norm_without_affine") {
      layer.kind = Kind::kBatchNorm;
      if (word == "norm") layer.weight = place(chain.parameters, features);
      if (word == "norm") layer.bias = place(chain.parameters, features);
      layer.running_mean = place(chain.buffers, features);
      layer.running_var = place(chain.buffers, features);
    } else {
      layer.kind = word == "relu" ? Kind::kRelu : Kind::kDropout;
    }
    features = layer.out;
    chain.layers.push_back(layer);
  }
  return chain;
}

// The nearest bfloat16: eight digits, ties to even.
double Bfloat16(double value) {
  int exponent;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(fraction * 256) / 256, exponent);
}

// The header's formulas in double: the outputs, and the batch's statistics into `statistics`,
// laid out as the buffers (unbiased variance).
std::vector<double> Reference(const Chain& chain, int64_t rows,
                              const std::vector<double>& parameters,
                              const std::vector<std::vector<float>>& factors, std::vector<double> x,
                              std::vector<double>* statistics = nullptr, bool bfloat16 = false) {
  size_t dropout = 0;
  for (const Layer& layer : chain.layers) {
    std::vector<double> y(rows * layer.out);
    for (int64_t o = 0; o < layer.out; ++o) {
      double mean = 0, var = 0;
      if (layer.kind == Kind::kBatchNorm) {
        for (int64_t r = 0; r < rows; ++r) mean += x[r * layer.in + o] / rows;
        for (int64_t r = 0; r < rows; ++r) var += std::pow(x[r * layer.in + o] - mean, 2) / rows;
        if (statistics != nullptr) {
          (*statistics)[layer.running_mean + o] = mean;
          (*statistics)[layer.running_var + o] = var * rows / (rows - 1);
        }
      }
      const double gamma = layer.weight >= 0 ? parameters[layer.weight + o] : 1;
      const double beta = layer.bias >= 0 ? parameters[layer.bias + o] : 0;
      for (int64_t r = 0; r < rows; ++r) {
        const double in = layer.kind == Kind::kLinear ? 0 : x[r * layer.in + o];
        double& out = y[r * layer.out + o];
        switch (layer.kind) {
          case Kind::kLinear:
            out = beta;
            for (int64_t i = 0; i < layer.in; ++i) {
              const double w = parameters[layer.weight + o * layer.in + i];
              const double in_i = x[r * layer.in + i];
              out += bfloat16 ? Bfloat16(w) * Bfloat16(in_i) : w * in_i;
            }
            break;
          case Kind::kBatchNorm:
            out = gamma * (in - mean) / std::sqrt(var + layer.epsilon) + beta;
            break;
          case Kind::kRelu:
            out = std::max(in, 0.0);
            break;
          case Kind::kDropout:
            out = in * factors[dropout][r * layer.in + o];
            break;
        }
      }
    }
    if (layer.kind == Kind::kDropout) ++dropout;
    x = std::move(y);
  }
  return x;
}

// A chain with random tensors, inputs and gradients of the outputs.
class Problem {
 public:
  Problem(const Chain& chain, int64_t rows, bool bfloat16 = false)
      : chain(chain), rows(rows), net(MakeNet(chain, bfloat16)) {
    parameters = Random(chain.parameters, 1);
    for (const Layer& layer : chain.layers) {
      if (layer.kind != Kind::kLinear) continue;
      for (int64_t i = 0; i < layer.in * layer.out; ++i) {
        parameters[layer.weight + i] *= 2 / std::sqrt(static_cast<float>(layer.in));
      }
    }
    buffers = Random(chain.buffers, 1);
    for (float& x : buffers) x = std::abs(x) + 0.1f;
    first_buffers = buffers;
    x = Random(rows * net.in(), 1);
    diff_y = Random(rows * net.out(), 1.0f / static_cast<float>(rows));
    for (size_t l = 0; l < chain.layers.size(); ++l) {
      if (chain.layers[l].kind != Kind::kDropout) continue;
      const DropoutFactors<float> draws(kDropped, StreamSeed(kSeed, l));
      factors.emplace_back(rows * chain.layers[l].in);
      for (size_t i = 0; i < factors.back().size(); ++i) factors.back()[i] = draws[i];
    }
    gradients.assign(chain.parameters, kUntouched);
    y.assign(rows * net.out(), kUntouched);
    diff_x.assign(rows * net.in(), kUntouched);
  }

  void Forward() { net.Forward({.data = x.data(), .rows = rows}, Tensors(), y.data()); }
  void Backward() { net.Backward(rows, diff_y.data(), tensors_, diff_x.data()); }
  ClassificationLoss TrainStep(const DenseRows& input, const std::vector<int64_t>& labels) {
    return net.TrainStep(input, labels.data(), Tensors());
  }

  std::vector<double> ReferenceOutput(const std::vector<double>& at_parameters,
                                      const std::vector<double>& at_x,
                                      std::vector<double>* statistics = nullptr) const {
    return Reference(chain, rows, at_parameters, factors, at_x, statistics);
  }
  // sum diff_y * y: its gradients are what Backward computes.
  double ReferenceScalar(const std::vector<double>& at_parameters,
                         const std::vector<double>& at_x) const {
    const auto out = ReferenceOutput(at_parameters, at_x);
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * diff_y[i];
    return sum;
  }

  std::vector<float> Random(int64_t n, float scale) {
    std::uniform_real_distribution<float> uniform(-scale, scale);
    std::vector<float> values(n);
    for (float& value : values) value = uniform(random_);
    return values;
  }

  static constexpr float kUntouched = 12345;

  Chain chain;
  int64_t rows;
  DenseNet net;
  std::vector<float> parameters, gradients, buffers, first_buffers, x, y, diff_x, diff_y;
  std::vector<std::vector<float>> factors;

 private:
  static DenseNet MakeNet(const Chain& chain, bool bfloat16) {
    return ValueOrDie(DenseNet::Create(DenseLayers(chain), {.bfloat16 = bfloat16}));
  }

  const DenseTensors& Tensors() {
    // Garbage in the workspace must not matter.
    workspace_.assign(net.WorkspaceFloats(rows), std::numeric_limits<float>::quiet_NaN());
    pointers_.clear();
    diff_pointers_.clear();
    const auto at = [](std::vector<float>& values, int64_t offset) -> void* {
      return offset < 0 ? nullptr : values.data() + offset;
    };
    for (const Layer& layer : chain.layers) {
      for (const int64_t offset : {layer.weight, layer.bias}) {
        pointers_.push_back(at(parameters, offset));
      }
      for (const int64_t offset : {layer.running_mean, layer.running_var}) {
        pointers_.push_back(at(buffers, offset));
      }
      diff_pointers_.push_back(at(gradients, layer.weight));
      diff_pointers_.push_back(layer.wants_bias_gradient ? at(gradients, layer.bias) : nullptr);
      diff_pointers_.resize(pointers_.size(), nullptr);
    }
    tensors_ = {pointers_.data(), diff_pointers_.data(), workspace_.data(), kSeed};
    return tensors_;
  }

  std::vector<void*> pointers_, diff_pointers_;
  std::mt19937 random_{7};
  std::vector<float> workspace_;
  DenseTensors tensors_;
};

std::vector<double> ToDouble(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << "at " << i;
}

// Batch norm divides the rounding errors of few rows that happen to be alike by little.
double Tolerance(int64_t rows) { return rows < 4 ? 1e-3 : 2e-5; }

// The derivative of f along `direction` from `at`.
template <typename F>
double Derivative(const F& f, const std::vector<double>& at, const std::vector<float>& direction) {
  constexpr double kStep = 1e-8;  // So small that no ReLU is stepped across its kink.
  std::vector<double> above = at, below = at;
  for (size_t i = 0; i < at.size(); ++i) {
    above[i] += kStep * direction[i];
    below[i] -= kStep * direction[i];
  }
  return (f(above) - f(below)) / (2 * kStep);
}

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

const char* const kChains[] = {
    "1 linear 1",
    "3 linear_without_bias 2",
    "4 relu",
    "5 norm",
    "5 norm_without_affine relu",
    "7 linear 1 relu",
    "16 norm relu linear 5 relu",
    "16 linear 64 relu linear 32 relu linear 32 relu linear 5",
    "16 linear 64 norm relu linear 32 norm relu linear 5 norm",
    "9 linear 13 norm linear 11 relu relu norm norm relu linear 3",
    "6 dropout linear 10 relu dropout linear 4 norm relu dropout",
    "17 linear 31 dropout relu linear 2",
    "130 linear 67 relu linear 6",
};

class DenseTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!SetIsaForTest(GetParam())) GTEST_SKIP() << "this machine lacks " << IsaName(GetParam());
  }

  template <typename Body>
  void ForAllProblems(const Body& body) {
    for (const char* text : kChains) {
      const Chain chain = ParseChain(text);
      for (int64_t rows : {1, 2, 3, 15, 16, 17, 64, 80, 513, 1100}) {
        if (rows == 1 && chain.text.find("norm") != std::string::npos) continue;
        SCOPED_TRACE(::testing::Message() << text << ", " << rows << " rows");
        Problem problem(chain, rows);
        body(problem);
        if (HasFatalFailure()) return;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, DenseTest,
                         ::testing::Values(Isa::kBaseline, Isa::kAvx2, Isa::kAvx512));

TEST_P(DenseTest, TrainingOutputsAgreeWithDoubleAndRunningStatisticsMove) {
  ForAllProblems([](Problem& p) {
    p.Forward();
    std::vector<double> moved = ToDouble(p.first_buffers);
    ExpectNear(p.y, p.ReferenceOutput(ToDouble(p.parameters), ToDouble(p.x), &moved),
               Tolerance(p.rows));
    for (size_t i = 0; i < moved.size(); ++i) {
      moved[i] = 0.9 * double{p.first_buffers[i]} + 0.1 * moved[i];
    }
    moved[0] = p.first_buffers[0];  // No layer's.
    ExpectNear(p.buffers, moved, 1e-5);
  });
}

TEST_P(DenseTest, GradientsAgreeWithCentralDifferences) {
  ForAllProblems([](Problem& p) {
    p.Forward();
    p.Backward();
    EXPECT_EQ(p.gradients[0], Problem::kUntouched) << "not the chain's";
    p.gradients[0] = p.gradients[1] = p.gradients[2] = 0;
    const auto parameters = ToDouble(p.parameters), x = ToDouble(p.x);
    const auto direction = p.Random(p.chain.parameters, 1);
    const double want =
        Derivative([&](const auto& at) { return p.ReferenceScalar(at, x); }, parameters, direction);
    EXPECT_NEAR(Dot(p.gradients, direction), want, Tolerance(p.rows) * (1 + std::abs(want)));
    const auto x_direction = p.Random(static_cast<int64_t>(p.x.size()), 1);
    const double want_x = Derivative(
        [&](const auto& at) { return p.ReferenceScalar(parameters, at); }, x, x_direction);
    EXPECT_NEAR(Dot(p.diff_x, x_direction), want_x, Tolerance(p.rows) * (1 + std::abs(want_x)));
  });
}

TEST_P(DenseTest, EachGradientOfASmallNetAgreesWithCentralDifferences) {
  for (int64_t rows : {5, 19}) {
    Problem p(ParseChain("3 norm relu linear 5 norm relu dropout linear 2"), rows);
    p.Forward();
    p.Backward();
    for (int64_t i = 3; i < p.chain.parameters; ++i) {
      std::vector<float> unit(p.chain.parameters);
      unit[i] = 1;
      const double want =
          Derivative([&](const auto& at) { return p.ReferenceScalar(at, ToDouble(p.x)); },
                     ToDouble(p.parameters), unit);
      EXPECT_NEAR(p.gradients[i], want, 5e-6) << i;
    }
  }
}

// Sums in another order can round the operand of the next layer to another neighbour, which is
// 2^-8 away; that shows in some results of a deep chain, not in their mean.
TEST_P(DenseTest, Bfloat16OutputsAgreeWithDoubleOfRoundedOperands) {
  for (const char* text : {"7 linear 1 relu", "16 norm relu linear 5 relu",
                           "16 linear 64 relu linear 32 relu linear 5",
                           "16 linear 64 norm relu linear 32 dropout linear 5"}) {
    for (const int64_t rows : {2, 17, 513, 2500}) {
      SCOPED_TRACE(::testing::Message() << text << ", " << rows << " rows");
      Problem p(ParseChain(text), rows, /*bfloat16=*/true);
      p.Forward();
      const std::vector<double> want = Reference(p.chain, rows, ToDouble(p.parameters), p.factors,
                                                 ToDouble(p.x), nullptr, /*bfloat16=*/true);
      double error = 0, size = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        error += std::abs(p.y[i] - want[i]);
        size += std::abs(want[i]);
      }
      EXPECT_LE(error, (rows == 2 ? 1e-3 : 1e-4) * size);
    }
  }
}

// y = W x + b: the gradients are products of the rounded operands.
TEST_P(DenseTest, Bfloat16GradientsAreProductsOfRoundedOperands) {
  for (const int64_t rows : {1, 16, 700, 2500}) {
    Problem p(ParseChain("19 linear 13"), rows, /*bfloat16=*/true);
    p.Forward();
    p.Backward();
    const Layer& layer = p.chain.layers[0];
    for (int64_t o = 0; o < 13; ++o) {
      double bias = 0;
      for (int64_t r = 0; r < rows; ++r) bias += Bfloat16(p.diff_y[r * 13 + o]);
      ASSERT_NEAR(p.gradients[layer.bias + o], bias, 1e-6) << o;
      for (int64_t i = 0; i < 19; ++i) {
        double weight = 0;
        for (int64_t r = 0; r < rows; ++r) {
          weight += Bfloat16(p.diff_y[r * 13 + o]) * Bfloat16(p.x[r * 19 + i]);
        }
        ASSERT_NEAR(p.gradients[layer.weight + o * 19 + i], weight, 1e-6) << o << " " << i;
      }
    }
    for (int64_t at = 0; at < rows * 19; ++at) {
      double want = 0;
      for (int64_t o = 0; o < 13; ++o) {
        want += Bfloat16(p.diff_y[at / 19 * 13 + o]) *
                Bfloat16(p.parameters[layer.weight + o * 19 + at % 19]);
      }
      ASSERT_NEAR(p.diff_x[at], want, 1e-6) << at;
    }
  }
}

TEST_P(DenseTest, TrainStepEqualsForwardLossAndBackward) {
  ForAllProblems([](Problem& p) {
    std::vector<int64_t> labels(p.rows);
    for (int64_t r = 0; r < p.rows; ++r) labels[r] = (r * r + 1) % p.net.out();
    p.Forward();
    const ClassificationLoss want =
        SoftmaxCrossEntropy(p.y.data(), labels.data(), p.rows, p.net.out(), p.diff_y.data());
    p.Backward();
    const auto want_gradients = p.gradients, want_buffers = p.buffers;
    p.buffers = p.first_buffers;
    const ClassificationLoss got = p.TrainStep({.data = p.x.data(), .rows = p.rows}, labels);
    EXPECT_NEAR(got.loss, want.loss, 1e-7 * want.loss);
    EXPECT_EQ(got.correct, want.correct);
    EXPECT_EQ(p.gradients, want_gradients);
    EXPECT_EQ(p.buffers, want_buffers);
  });
}

TEST_P(DenseTest, PickedRowsGiveWhatTheirCopiesGive) {
  for (int64_t rows : {2, 17, 600}) {
    Problem p(ParseChain("16 linear 8 norm relu linear 5"), rows);
    const std::vector<float> pool = p.Random(1000 * 16, 1);
    std::vector<int64_t> index(rows), pool_labels(1000), labels(rows);
    for (int64_t i = 0; i < 1000; ++i) pool_labels[i] = i * i % 5;
    for (int64_t r = 0; r < rows; ++r) {
      index[r] = r * 389 % 1000;
      labels[r] = pool_labels[index[r]];
      std::copy_n(pool.data() + index[r] * 16, 16, p.x.data() + r * 16);
    }
    const ClassificationLoss want = p.TrainStep({.data = p.x.data(), .rows = rows}, labels);
    const auto want_gradients = p.gradients;
    const ClassificationLoss got = p.TrainStep({pool.data(), index.data(), rows}, pool_labels);
    EXPECT_EQ(got.loss, want.loss);
    EXPECT_EQ(p.gradients, want_gradients);
  }
}

TEST_P(DenseTest, BitsDoNotDependOnThreads) {
  const int threads = omp_get_max_threads();
  for (const char* text : {kChains[7], kChains[8], kChains[10]}) {
    for (int64_t rows : {1100, 5000}) {
      std::vector<std::vector<float>> results;
      for (int n : {1, 2, 3, 7}) {
        omp_set_num_threads(n);
        Problem p(ParseChain(text), rows);
        p.Forward();
        p.Backward();
        results.push_back(p.gradients);
        results.back().insert(results.back().end(), p.buffers.begin(), p.buffers.end());
        p.TrainStep({.data = p.x.data(), .rows = rows}, std::vector<int64_t>(rows, 1));
        results.back().insert(results.back().end(), p.gradients.begin(), p.gradients.end());
        EXPECT_EQ(results.back(), results.front()) << text << ", " << n << " threads";
      }
    }
  }
  omp_set_num_threads(threads);
}

TEST_P(DenseTest, AGradientThatNobodyWantsIsNotWritten) {
  for (int64_t rows : {50, 1100}) {
    Chain chain = ParseChain("4 linear 8 norm relu linear 3");
    Problem all(chain, rows);
    all.Forward();
    all.Backward();
    chain.layers[0].wants_bias_gradient = false;
    Problem without(chain, rows);
    without.Forward();
    without.Backward();
    for (int64_t o = 0; o < 8; ++o) {
      EXPECT_NEAR(all.gradients[chain.layers[0].bias + o], 0, 1e-6) << "before a batch norm";
      EXPECT_EQ(without.gradients[chain.layers[0].bias + o], Problem::kUntouched);
      all.gradients[chain.layers[0].bias + o] = Problem::kUntouched;
    }
    EXPECT_EQ(without.gradients, all.gradients) << "all others";
  }
}

TEST_P(DenseTest, NormalizesFarFromZero) {
  Problem p(ParseChain("2 norm"), 700);
  for (float& x : p.x) x = 1000 + 0.5f * x;
  std::vector<double> moved(p.chain.buffers);
  p.Forward();
  ExpectNear(p.y, p.ReferenceOutput(ToDouble(p.parameters), ToDouble(p.x), &moved), 5e-4);
}

TEST_P(DenseTest, AnInputThatIsNotANumberShows) {
  for (const char* text : {"4 linear 3 relu linear 2", "4 relu", "4 linear 3 norm relu"}) {
    Problem p(ParseChain(text), 20);
    p.x[5 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
    p.Forward();
    EXPECT_TRUE(std::any_of(p.y.begin(), p.y.end(), [](float y) { return std::isnan(y); })) << text;
  }
}

TEST_P(DenseTest, ManyChunksGiveTheGradientsOfFew) {
  // Few chunks keep all results for the backward pass; many make some of them again.
  const Chain chain = ParseChain("3 norm relu linear 7 norm linear 5 norm relu linear 2");
  Problem few(chain, 512), many(chain, 4 * 512);
  for (int copy = 0; copy < 4; ++copy) {
    std::copy(few.x.begin(), few.x.end(), many.x.begin() + copy * 512 * 3);
    for (size_t i = 0; i < few.diff_y.size(); ++i) {
      many.diff_y[static_cast<size_t>(copy) * few.diff_y.size() + i] = few.diff_y[i] / 4;
    }
  }
  many.parameters = few.parameters;
  for (Problem* p : {&few, &many}) {
    p->Forward();
    p->Backward();
  }
  ExpectNear(many.gradients, ToDouble(few.gradients), 1e-5);
}

TEST(DenseNetTest, AWorkspaceForManyRowsIsEnoughForFewer) {
  const DenseNet net =
      ValueOrDie(DenseNet::Create(DenseLayers(ParseChain("3 norm relu linear 5"))));
  int64_t last = 0;
  for (int64_t rows = 1; rows < 40'000; ++rows) {
    const int64_t floats = net.WorkspaceFloats(rows);
    ASSERT_GE(floats, last) << rows;
    last = floats;
  }
}

TEST(DenseIsaTest, Avx2AndAvx512GiveTheSameBits) {
  std::vector<std::vector<float>> results;
  for (Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (!SetIsaForTest(isa)) GTEST_SKIP() << "this machine lacks " << IsaName(isa);
    for (const char* text : kChains) {
      Problem p(ParseChain(text), 613);
      p.Forward();
      p.Backward();
      for (const auto* values : {&p.y, &p.gradients, &p.diff_x, &p.buffers}) {
        results.push_back(*values);
      }
    }
  }
  for (size_t i = 0; i < results.size() / 2; ++i) {
    EXPECT_EQ(results[i], results[i + results.size() / 2]) << kChains[i / 4];
  }
}

TEST(DenseNetTest, RefusesChainsThatDoNotFit) {
  const auto error_of = [](const char* text, auto change) {
    std::vector<DenseLayer> layers = DenseLayers(ParseChain(text));
    change(layers);
    return DenseNet::Create(layers).status();
  };
  using Layers = std::vector<DenseLayer>;
  constexpr auto kCode = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(DenseNet::Create({}), StatusIs(kCode, "dense chain: no layers"));
  EXPECT_THAT(error_of("4 linear 3 linear 2", [](Layers& layers) { layers[1].in = 5; }),
              StatusIs(kCode, "dense chain: layer 1: 5 features in, but 3 come"));
  EXPECT_THAT(error_of("4 linear 3", [](Layers& layers) { layers[0].out = 0; }),
              StatusIs(kCode, HasSubstr("layer 0: features [4 -> 0]")));
  EXPECT_THAT(error_of("4 relu", [](Layers& layers) { layers[0].out = 3; }),
              StatusIs(kCode, HasSubstr("[4 -> 3] of a layer that keeps them")));
  EXPECT_THAT(error_of("4 linear 3", [](Layers& layers) { layers[0].weight = -1; }),
              StatusIs(kCode, HasSubstr("without a weight")));
  EXPECT_THAT(error_of("4 norm", [](Layers& layers) { layers[0].running_var = -1; }),
              StatusIs(kCode, HasSubstr("without running statistics")));
}

}  // namespace
}  // namespace mase
