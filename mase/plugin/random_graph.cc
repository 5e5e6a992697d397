#include "mase/plugin/random_graph.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/random.h"
#include "mase/model/builder.h"

namespace mase {

absl::StatusOr<Graph> RandomGraph(uint32_t seed) {
  Mt19937 random(seed);
  const auto draw = [&](uint32_t below) { return static_cast<int64_t>(random.Next32() % below); };
  const char* const kSameWidth[] = {"ReLU",    "GELU",      "Tanh",     "Sigmoid", "BN",
                                    "Dropout", "LayerNorm", "Identity", "ELU",     "Hardswish"};
  ModelBuilder net(absl::StrCat("random_", seed), {1, 4 + draw(13)}, 3, seed);
  Value* x = net.input();
  std::vector<Value*> earlier;
  const int64_t layers = 1 + draw(12);
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t width = x->shape()[1];
    const std::string path = absl::StrCat("layer_", i);
    const int64_t kind = draw(10);
    if (kind < 4) {
      x = net.Module(x, path, absl::StrCat("Linear ", 1 + draw(16)));
    } else if (kind < 9 || earlier.empty()) {
      std::string word = kSameWidth[draw(std::size(kSameWidth))];
      if (word == "LayerNorm") absl::StrAppend(&word, " ", width);
      if (word == "Dropout") absl::StrAppend(&word, " 0.5");
      x = net.Module(x, path, word);
    } else {
      for (Value* other : earlier) {
        if (other->shape() != x->shape()) continue;
        x = net.Function(ops::kAdd, {x, other});
        break;
      }
    }
    if (x == nullptr) break;  // Finish says why.
    earlier.push_back(x);
  }
  return net.Finish(x);
}

}  // namespace mase
