#include "mase/kernel/dense/integer_chain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/base/mix64.h"

namespace mase {
namespace {

using Kind = IntegerChainOp::Kind;
using Layers = std::vector<IntegerChainLayer>;

// Numbers from a stream.
class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(seed) {}
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }
  int64_t Between(int64_t least, int64_t most) { return least + Below(most - least + 1); }
  float Number(float most) { return most * (static_cast<float>(Between(-1000, 1000)) / 1000.0f); }
  bool Coin() { return Below(2) == 1; }

 private:
  uint64_t Next() { return Mix64(seed_ + ++drawn_ * 0x9e3779b97f4a7c15); }
  const uint64_t seed_;
  uint64_t drawn_ = 0;
};

// The definition, one number at a time. `fuses` multiplies and adds in one rounding, as AVX2 does.
std::vector<float> Define(const Layers& layers, std::vector<float> row, bool fuses) {
  const auto multiply_add = [&](float a, float b, float c) {
    return fuses ? std::fma(a, b, c) : a * b + c;
  };
  const auto steps = [](float x, float step, float least, float most) {
    // In double the quotient of floats is on the side of a tie on which it is in truth.
    const double quotient = static_cast<double>(x) / static_cast<double>(step);
    const float steps = static_cast<float>(std::nearbyint(quotient));
    return std::min(steps > least ? steps : least, most);  // A NaN is the least.
  };
  std::vector<int64_t> codes;
  std::vector<std::vector<float>> saved = {row};
  for (size_t i = 0; i < layers.size(); ++i) {
    const IntegerChainLayer& layer = layers[i];
    std::vector<float> result(layer.out);
    saved.resize(std::max<size_t>(saved.size(), SlotsOfChain(layers)));
    const std::vector<float>& src = saved[std::max<int64_t>(layer.slot, 0)];
    for (const IntegerChainLayer::Op& op : layer.ops) {
      if (op.kind == Kind::kSave) saved[op.slot].resize(layer.out);
    }
    for (int64_t o = 0; o < layer.out; ++o) {
      float x = 0;
      if (i == 0 || layer.slot >= 0) {
        x = src[o];
      } else {
        int64_t sum = layer.bias[o];
        for (int64_t k = 0; k < layer.in; ++k) sum += codes[k] * layer.weight[o * layer.in + k];
        x = layer.in_double ? static_cast<float>(static_cast<double>(sum) *
                                                     static_cast<double>(layer.scale[o]) +
                                                 static_cast<double>(layer.shift[o]))
                            : multiply_add(static_cast<float>(sum), layer.scale[o], layer.shift[o]);
      }
      for (const IntegerChainLayer::Op& op : layer.ops) {
        if (op.kind == Kind::kRelu) {
          x = x < 0 ? 0 : x;
        } else if (op.kind == Kind::kNorm) {
          x = multiply_add(x - op.mean[o], op.scale[o], op.shift[o]);
        } else if (op.kind == Kind::kSave) {
          saved[op.slot][o] = x;
        } else if (op.kind == Kind::kAdd) {
          const float y = saved[op.slot][o];
          x += op.rounds ? steps(y, op.step, op.least, op.most) * op.step + 0.0f : y;
        } else {
          x = steps(x, op.step, op.least, op.most) * op.step + 0.0f;
        }
      }
      result[o] = x;
    }
    if (i + 1 == layers.size()) return result;
    codes.resize(layer.out);
    for (int64_t o = 0; o < layer.out; ++o) {
      codes[o] = static_cast<int64_t>(steps(result[o], layer.step, layer.least, layer.most));
    }
  }
  return {};
}

void AddRange(Draws& draws, int most_bits, float& step, float& least, float& most) {
  const int bits = static_cast<int>(draws.Between(2, most_bits));
  const bool is_signed = draws.Coin();
  step = draws.Below(4) > 0 ? std::ldexp(1.0f, static_cast<int>(draws.Between(-8, 1)))
                            : 0.01f + std::abs(draws.Number(1));
  least = is_signed ? -std::ldexp(1.0f, bits - 1) : 0.0f;
  most = std::ldexp(1.0f, is_signed ? bits - 1 : bits) - 1;
}

// `saves`: with branches and residual sums.
Layers RandomLayers(uint64_t seed, bool saves) {
  Draws draws(seed);
  const bool wide = draws.Below(4) == 0;
  Layers layers(static_cast<size_t>(draws.Between(2, saves ? 9 : 5)));
  int64_t features = draws.Between(1, 40);
  std::vector<int64_t> saved = {features};  // By slot.
  for (size_t i = 0; i < layers.size(); ++i) {
    IntegerChainLayer& layer = layers[i];
    if (i == 0) {
      // The input is a row, or saved to be read again.
      if (saves && draws.Coin()) layer.slot = 0;
      if (layer.slot < 0) saved[0] = 0;
    } else if (const int64_t slot = draws.Below(static_cast<int64_t>(saved.size()));
               saves && draws.Below(4) == 0 && saved[slot] > 0) {
      layer.slot = slot;
      features = saved[slot];
    }
    const bool has_product = i > 0 && layer.slot < 0;
    layer.in = features;
    if (has_product && saves && draws.Coin()) {
      features = std::max<int64_t>(saved[draws.Below(static_cast<int64_t>(saved.size()))], 1);
    } else if (has_product)
      features = draws.Below(5) == 0 ? draws.Between(60, 140) : draws.Between(1, 50);
    layer.out = features;
    if (has_product) {
      layer.byte_weight = !wide || draws.Coin();
      const int64_t most = layer.byte_weight ? 127 : 3000;
      for (int64_t w = 0; w < layer.in * layer.out; ++w) {
        layer.weight.push_back(static_cast<int32_t>(draws.Between(-most - 1, most)));
      }
      const bool by_output = draws.Coin(), shifts = draws.Below(3) == 0;
      const float scale = std::ldexp(1.0f, static_cast<int>(draws.Between(-14, -4)));
      layer.in_double = draws.Below(8) == 0;
      layer.largest = static_cast<double>(layer.in) * static_cast<double>(most + 1) * 65536 + 70000;
      for (int64_t o = 0; o < layer.out; ++o) {
        layer.bias.push_back(static_cast<int32_t>(draws.Between(-70000, 70000)));
        layer.scale.push_back(by_output ? scale * std::abs(draws.Number(1)) + 1e-4f : scale);
        layer.shift.push_back(shifts ? draws.Number(3) : 0.0f);
      }
      // Of small ranges a tighter bound is known, which makes the step to codes plain.
      if (!wide) layer.largest = static_cast<double>(layer.in) * 128 * 256 + 70000;
    }
    AddRange(draws, wide ? 16 : 8, layer.step, layer.least, layer.most);
    for (int64_t n = draws.Below(4); n > 0; --n) {
      IntegerChainLayer::Op op = {.kind = static_cast<Kind>(draws.Below(3))};
      if (op.kind == Kind::kRound) {
        AddRange(draws, 8, op.step, op.least, op.most);
        // Every odd number of such steps is a tie of the next rounding.
        if (draws.Coin()) op.step = layer.step / 2;
      }
      for (int64_t o = 0; op.kind == Kind::kNorm && o < layer.out; ++o) {
        op.mean.push_back(draws.Number(2));
        op.scale.push_back(draws.Number(3));
        op.shift.push_back(draws.Number(1));
      }
      layer.ops.push_back(std::move(op));
    }
    const int64_t other = draws.Below(static_cast<int64_t>(saved.size()));
    if (saves && (i > 0 || layer.slot == 0) && saved[other] == features) {
      IntegerChainLayer::Op op = {.kind = Kind::kAdd};
      op.slot = other;
      op.rounds = draws.Coin();
      AddRange(draws, 8, op.step, op.least, op.most);
      layer.ops.push_back(std::move(op));
    }
    if (saves && (i > 0 || layer.slot == 0) && draws.Coin()) {
      IntegerChainLayer::Op op = {.kind = Kind::kSave};
      op.slot = static_cast<int64_t>(saved.size());
      saved.push_back(features);
      layer.ops.insert(layer.ops.begin() + draws.Below(static_cast<int64_t>(layer.ops.size()) + 1),
                       std::move(op));
    }
  }
  return layers;
}

struct Aligned {
  explicit Aligned(int64_t bytes)
      : memory(std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64))) {}
  ~Aligned() { std::free(memory); }
  void* memory;
};

// An instruction set, and whether its instructions for bytes are used.
using Path = std::tuple<Isa, bool>;
class IntegerChainTest : public ::testing::TestWithParam<Path> {
 protected:
  void SetUp() override {
    const Isa before = CurrentIsa();
    has_isa_ = SetIsaForTest(std::get<0>(GetParam()));
    SetIsaForTest(before);
  }
  const IntegerChainKernels& kernels() const {
    return IntegerChainKernelsFor(std::get<0>(GetParam()), std::get<1>(GetParam()));
  }
  bool fuses() const { return std::get<0>(GetParam()) != Isa::kBaseline; }
  bool has_isa_ = false;
};

INSTANTIATE_TEST_SUITE_P(Isas, IntegerChainTest,
                         ::testing::Values(Path(Isa::kBaseline, false), Path(Isa::kAvx2, false),
                                           Path(Isa::kAvx512, false), Path(Isa::kAvx512, true)),
                         [](const auto& info) {
                           std::string name(IsaName(std::get<0>(info.param)));
                           std::erase(name, '-');
                           return name + (std::get<1>(info.param) ? "Bytes" : "Words");
                         });

TEST_P(IntegerChainTest, EqualsItsDefinitionOnRandomNets) {
  for (uint64_t seed = 1; has_isa_ && seed <= 1000; ++seed) {
    const Layers layers = RandomLayers(seed, /*saves=*/seed % 2 == 0);
    Aligned packed(PackIntegerChain(layers, kernels(), nullptr));
    PackIntegerChain(layers, kernels(), packed.memory);
    const IntegerChain& chain = *static_cast<const IntegerChain*>(packed.memory);
    Aligned scratch(IntegerChainScratch(chain.widest, chain.slots));
    Draws draws(seed ^ 77);
    const int64_t rows = draws.Between(1, 37);
    std::vector<float> x(rows * chain.in), y(rows * chain.out), y_row(chain.out);
    for (float& number : x) number = draws.Number(9);
    ASSERT_TRUE(kernels().rows(chain, x.data(), rows, y.data(), scratch.memory));
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> wanted =
          Define(layers, {x.begin() + r * chain.in, x.begin() + (r + 1) * chain.in}, fuses());
      ASSERT_TRUE(kernels().row(&chain, x.data() + r * chain.in, y_row.data(), scratch.memory));
      for (int64_t o = 0; o < chain.out; ++o) {
        ASSERT_EQ(y_row[o], wanted[o]) << "net " << seed << ", row " << r << ", output " << o;
        ASSERT_EQ(y[r * chain.out + o], wanted[o])
            << "net " << seed << ", row " << r << " of a block, output " << o;
      }
    }
  }
}

TEST_P(IntegerChainTest, ANanHasNoCode) {
  for (uint64_t seed = 1; has_isa_ && seed <= 40; ++seed) {  // Wide nets, and of narrow layers.
    const Layers layers = RandomLayers(seed, /*saves=*/seed % 2 == 0);
    Aligned packed(PackIntegerChain(layers, kernels(), nullptr));
    PackIntegerChain(layers, kernels(), packed.memory);
    const IntegerChain& chain = *static_cast<const IntegerChain*>(packed.memory);
    Aligned scratch(IntegerChainScratch(chain.widest, chain.slots));
    constexpr int64_t kRows = 19;
    std::vector<float> x(kRows * chain.in), y(kRows * chain.out);
    for (int64_t r = 0; r < kRows; ++r) {
      x[r * chain.in + chain.in - 1] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(kernels().rows(chain, x.data(), kRows, y.data(), scratch.memory));
      EXPECT_FALSE(kernels().row(&chain, x.data() + r * chain.in, y.data(), scratch.memory));
      x[r * chain.in + chain.in - 1] = std::numeric_limits<float>::infinity();
      EXPECT_TRUE(kernels().rows(chain, x.data(), kRows, y.data(), scratch.memory));
    }
  }
}

}  // namespace
}  // namespace mase
