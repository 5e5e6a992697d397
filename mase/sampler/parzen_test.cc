#include "mase/sampler/parzen.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

ParameterSpace Space(std::vector<SearchParameter> parameters) {
  return ValueOrDie(ParameterSpace::Create(std::move(parameters)));
}

// The sum of the density over all points of a finite space.
double TotalMass(const ParameterSpace& space, const std::vector<int>& group,
                 const Parzen& density) {
  double sum = 0;
  for (uint64_t i = 0; i < *space.size(); ++i) {
    const Point point = space.PointAt(i);
    std::vector<double> values;
    for (int parameter : group) values.push_back(point[parameter]);
    sum += std::exp(density.LogDensity(values));
  }
  return sum;
}

TEST(ParzenTest, NewestTrialsWeighMost) {
  EXPECT_THAT(RecencyWeights(3), ElementsAre(1, 1, 1));
  const std::vector<double> weights = RecencyWeights(28);
  EXPECT_DOUBLE_EQ(weights[0], 1.0 / 28);
  EXPECT_DOUBLE_EQ(weights[1], (1.0 / 28 + 1) / 2);
  EXPECT_DOUBLE_EQ(weights[2], 1);
  EXPECT_DOUBLE_EQ(weights[27], 1);
}

// By hand: 3 kernels with weights 1/3; each of the two observed gives (1/3 + 1) / (2/3 + 1) = 0.8
// to its choice and 0.2 to the other, the prior 0.5.
TEST(ParzenTest, ChoicesAreCountedWithAPrior) {
  const ParameterSpace space = Space({CategoricalParameter("c", {true, false})});
  const Parzen density(space, {0}, {1, 1}, {1, 1}, 1);
  EXPECT_NEAR(std::exp(density.LogDensity({1})), (0.8 + 0.8 + 0.5) / 3, 1e-15);
  EXPECT_NEAR(std::exp(density.LogDensity({0})), (0.2 + 0.2 + 0.5) / 3, 1e-15);
}

// Each kernel is a product over the parameters; with 60 of them logarithms of it are added.
TEST(ParzenTest, ChoicesTogetherAreProductsOfKernels) {
  for (const int dimensions : {2, 60}) {
    std::vector<SearchParameter> parameters;
    std::vector<int> group;
    for (int i = 0; i < dimensions; ++i) {
      parameters.push_back(CategoricalParameter(std::string(1 + i, 'p'), {true, false}));
      group.push_back(i);
    }
    const ParameterSpace space = Space(std::move(parameters));
    const double prior = 1e-5, base = prior / 3, n = dimensions;
    const double hit = (base + 1) / (2 * base + 1), miss = base / (2 * base + 1);
    std::vector<double> observations(2 * dimensions, 0.0);  // The first one all 0, the other 1.
    std::fill_n(observations.begin() + dimensions, dimensions, 1.0);
    const Parzen density(space, group, observations, {1, 1}, prior);
    std::vector<double> values(dimensions, 0.0);
    values[0] = 1;
    const double want =
        (hit * std::pow(miss, n - 1) + miss * std::pow(hit, n - 1) + prior * std::pow(0.5, n)) /
        (2 + prior);
    EXPECT_NEAR(density.LogDensity(values), std::log(want), 1e-9) << dimensions;
  }
}

TEST(ParzenTest, MassesOfDiscreteParametersSumToOne) {
  SearchParameter log = IntegerParameter("l", 1, 30);
  log.log = true;
  const ParameterSpace space =
      Space({IntegerParameter("i", -3, 12, 3), log, CategoricalParameter("c", {true, false, {}})});
  EXPECT_NEAR(TotalMass(Space({IntegerParameter("i", -3, 12, 3)}), {0},
                        Parzen(space, {0}, {3, 3, 9}, {1, 1, 0.5}, 1)),
              1, 1e-12);
  EXPECT_NEAR(TotalMass(space, {0, 1, 2}, Parzen(space, {0, 1, 2}, {3, 2, 0, 0, 30, 1}, {1, 1}, 1)),
              1, 1e-12);
  EXPECT_NEAR(TotalMass(space, {0, 1, 2}, Parzen(space, {0, 1, 2}, {}, {}, 1)), 1, 1e-12);
}

TEST(ParzenTest, ADensityOverAContinuumIntegratesToOne) {
  const ParameterSpace space = Space({RealParameter("r", -1, 3)});
  const Parzen density(space, {0}, {0.5, 0.6, 3}, {1, 1, 1}, 1);
  double sum = 0;
  const int steps = 100000;
  for (int i = 0; i < steps; ++i) {
    sum += std::exp(density.LogDensity({-1 + 4 * (i + 0.5) / steps})) * 4 / steps;
  }
  EXPECT_THAT(sum, DoubleNear(1, 1e-6));
}

TEST(ParzenTest, SamplesAreDistributedAsTheDensity) {
  const ParameterSpace space =
      Space({IntegerParameter("i", 0, 4), CategoricalParameter("c", {true, false})});
  for (const std::vector<int>& group : {std::vector<int>{0}, {1}, {0, 1}}) {
    std::vector<double> observations;
    for (int i = 0; i < 6; ++i) {
      for (int parameter : group) observations.push_back(parameter == 0 ? i % 3 : i % 2 == 0);
    }
    const Parzen density(space, group, observations, std::vector<double>(6, 1.0), 1);
    Draws draws(7, 0);
    std::vector<std::vector<double>> samples(20000, std::vector<double>(group.size()));
    for (auto& sample : samples) density.Sample(draws, absl::MakeSpan(sample));
    for (int i = 0; i < 10; ++i) {
      const Point point = space.PointAt(i);
      std::vector<double> values;
      for (int parameter : group) values.push_back(point[parameter]);
      EXPECT_NEAR(std::count(samples.begin(), samples.end(), values) / 20000.0,
                  std::exp(density.LogDensity(values)), 0.015);
    }
  }
}

// What is enough may end the sum early, and never moves a density to the other side of it.
TEST(ParzenTest, EnoughIsToldFromLess) {
  const ParameterSpace space =
      Space({CategoricalParameter("a", {int64_t{0}, int64_t{1}, int64_t{2}}),
             CategoricalParameter("b", {true, false}), RealParameter("c", 0, 1)});
  const Parzen density(space, {0, 1, 2}, {0, 1, 0.3, 2, 0, 0.7, 1, 1, 0.2, 0, 0, 0.9},
                       {1, 2, 1, 0.5}, 1);
  for (const std::vector<double>& values :
       {std::vector<double>{0, 1, 0.3}, {2, 1, 0.5}, {1, 0, 0.95}}) {
    const double whole = density.LogDensity(values);
    EXPECT_EQ(density.LogDensity(values, whole + 0.01), whole);
    for (const double enough : {whole, whole - 0.1, whole - 1, whole - 10}) {
      const double told = density.LogDensity(values, enough);
      EXPECT_GE(told, enough);
      EXPECT_LE(told, whole);
    }
  }
}

}  // namespace
}  // namespace mase
