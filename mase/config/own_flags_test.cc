#include "mase/config/own_flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(OwnFlagsTest, EveryFieldIsAFlag) {
  const std::vector<ProcessFlag> flags = FlagsOf(*PassFlags::descriptor());
  ASSERT_EQ(flags.size(), static_cast<size_t>(PassFlags::descriptor()->field_count()));
  EXPECT_EQ(flags[0].name, "plugins");
  EXPECT_FALSE(flags[0].is_switch);
  EXPECT_TRUE(flags[1].is_switch);
  for (const ProcessFlag& flag : flags) EXPECT_THAT(flag.help, HasSubstr(".")) << flag.name;
}

TEST(OwnFlagsTest, ListsAreValuesBetweenCommasOrSeveralFlags) {
  PassFlags flags;
  ASSERT_OK(SetFlag("print_after", "a,b", flags));
  ASSERT_OK(SetFlag("print_after", "c", flags));
  EXPECT_THAT(flags.print_after(), ElementsAre("a", "b", "c"));
  ASSERT_OK(SetFlag("plugins", "/x/a.so", flags));
  EXPECT_THAT(flags.plugins(), ElementsAre("/x/a.so"));
  ASSERT_OK(SetFlag("timing", "true", flags));
  EXPECT_TRUE(flags.timing());
  ASSERT_OK(SetFlag("max_passes", "0", flags));
  EXPECT_TRUE(flags.has_max_passes());
}

TEST(OwnFlagsTest, WrongValuesNameTheFlag) {
  PassFlags flags;
  EXPECT_THAT(SetFlag("max_passes", "-1", flags),
              StatusIs(kInvalid, "--max_passes: -1 is out of range, want at least 0"));
  EXPECT_THAT(SetFlag("max_passes", "two", flags),
              StatusIs(kInvalid, "--max_passes: want an integer, got \"two\""));
  EXPECT_THAT(SetFlag("timing", "maybe", flags),
              StatusIs(kInvalid, HasSubstr("--timing: want true or false")));
  EXPECT_THAT(SetFlag("plugins", ",", flags), StatusIs(kInvalid, HasSubstr("--plugins: no value")));
  FormatsFlags formats;  // Where not given is a value, too, that is none to choose.
  EXPECT_THAT(SetFlag("semantics", "odd", formats),
              StatusIs(kInvalid, "--semantics: 'odd' is none of exact, reference"));
}

}  // namespace
}  // namespace mase
