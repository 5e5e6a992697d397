#include "mase/base/suggest.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("linear", "linear"), 0);
  EXPECT_EQ(EditDistance("linear", "linera"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(EditDistanceTest, IgnoresCaseAndDashAgainstUnderscore) {
  EXPECT_EQ(EditDistance("Batch-Size", "batch_size"), 0);
}

TEST(SuggestTest, NamesTheNearestCandidate) {
  const std::vector<std::string> names = {"max_steps", "max_epochs", "model"};
  EXPECT_EQ(Suggest("max_epoch", names), "; did you mean 'max_epochs'?");
  EXPECT_EQ(Suggest("max-epochs", names), "; did you mean 'max_epochs'?");
}

// A distance is only followed as long as it may be the least: swaps come from two rows before.
TEST(SuggestTest, FindsTheNearestBehindOthers) {
  const std::vector<std::string> names = {"batch_norm3d", "batch_norm1d", "adaptive_max_pool2d",
                                          "batch_norm2d"};
  EXPECT_EQ(Suggest("batch_nomr2d", names), "; did you mean 'batch_norm2d'?");
  EXPECT_EQ(Suggest("abtch_norm1d", names), "; did you mean 'batch_norm1d'?");
  EXPECT_EQ(Suggest("adaptive_mxa_pol2d", names), "; did you mean 'adaptive_max_pool2d'?");
}

TEST(SuggestTest, CompletesAnUnambiguousBeginning) {
  const std::vector<std::string> names = {"quantize", "summarize_quantization"};
  EXPECT_EQ(Suggest("summ", names), "; did you mean 'summarize_quantization'?");
}

TEST(SuggestTest, SaysNothingWhereNothingIsNear) {
  const std::vector<std::string> names = {"relu", "linear", "fixed_a", "fixed_b"};
  EXPECT_EQ(Suggest("conv2d", names), "");
  EXPECT_EQ(Suggest("", names), "");
  EXPECT_EQ(Suggest(std::string(100000, 'x'), names), "");
  EXPECT_EQ(Suggest("relu", {}), "");
}

}  // namespace
}  // namespace mase
