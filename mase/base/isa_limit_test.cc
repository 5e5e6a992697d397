#include "mase/base/isa_limit.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/coverage.h"
#include "mase/base/isa.h"

namespace mase {
namespace {

// What a new process with that limit uses and says, as an exit code: it is read once.
int Uses(const char* limit, Isa at_most) {
  setenv("MASE_MAX_CPU_ISA", limit, 1);
  const bool right = CheckIsaLimit().ok() && CurrentIsa() <= at_most;
  WriteCoverage();
  return right ? 0 : 1;
}

TEST(IsaLimitDeathTest, NothingBetterIsUsed) {
  EXPECT_EXIT(_exit(Uses("SSE2", Isa::kBaseline)), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(_exit(Uses("avx2", Isa::kAvx2)), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(_exit(Uses("AVX512_VNNI", Isa::kAvx512)), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(_exit(Uses("", Isa::kAvx512)), ::testing::ExitedWithCode(0), "");
}

TEST(IsaTest, OfThisMachineCanBeChosenAndHaveNames) {
  const Isa best = CurrentIsa();
  for (const auto& [isa, name] : {std::pair(Isa::kBaseline, "SSE2"), std::pair(Isa::kAvx2, "AVX2"),
                                  std::pair(Isa::kAvx512, "AVX-512")}) {
    EXPECT_EQ(IsaName(isa), name);
    const bool is_there = SetIsaForTest(isa);
    EXPECT_TRUE(is_there || isa > best) << name;
    if (is_there) {
      EXPECT_EQ(CurrentIsa(), isa);
    }
  }
  SetIsaForTest(best);
}

TEST(IsaLimitDeathTest, WhatIsNoLimitIsAnError) {
  EXPECT_EXIT(
      {
        setenv("MASE_MAX_CPU_ISA", "AVX3", 1);
        const absl::Status status = CheckIsaLimit();
        fprintf(stderr, "%s\n", std::string(status.message()).c_str());
        WriteCoverage();
        _exit(absl::IsInvalidArgument(status) ? 0 : 1);
      },
      ::testing::ExitedWithCode(0),
      "MASE_MAX_CPU_ISA is 'AVX3', want one of SSE2, AVX2, AVX512, AVX512_VNNI, ALL");
}

}  // namespace
}  // namespace mase
