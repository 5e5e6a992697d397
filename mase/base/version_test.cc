#include "mase/base/version.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ContainsRegex;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(VersionsTest, OfThisToolAndOfWhatItIsMadeOf) {
  EXPECT_THAT(Versions(),
              UnorderedElementsAre(Pair("mase", Version()),
                                   Pair("compiler", ContainsRegex("[0-9]+\\.[0-9]")),
                                   Pair("protobuf", ContainsRegex("^[0-9]+\\.[0-9]+\\.")),
                                   Pair("abseil", ContainsRegex("^20[0-9]{6}$"))));
}

}  // namespace
}  // namespace mase
