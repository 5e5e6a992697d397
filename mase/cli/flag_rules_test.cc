#include "mase/cli/flag_rules.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/config/own_flags.h"
#include "mase/testing/matchers.h"
#include "proto/flags.pb.h"
#include "proto/search_flags.pb.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using Given = std::vector<std::pair<std::string, std::string>>;

absl::Status Check(absl::string_view action, google::protobuf::Message&& flags, const Given& given,
                   const std::vector<std::string>& sets = {}) {
  Arguments arguments;
  arguments.process = given;
  arguments.sets = sets;
  for (const auto& [name, value] : given) EXPECT_OK(SetFlag(name, value, flags));
  return CheckFlags(action, arguments, &flags);
}

TEST(FlagRulesTest, NameFlagsThatThereAre) {
  const std::map<absl::string_view, const google::protobuf::Descriptor*> actions = {
      {"search", SearchFlags::descriptor()}, {"sweep", SweepFlags::descriptor()}};
  for (const FlagRule& rule : FlagRules()) {
    ASSERT_TRUE(actions.contains(rule.action)) << rule.action;
    for (const absl::string_view flag : {rule.flag, rule.other}) {
      EXPECT_NE(actions.at(rule.action)->FindFieldByName(std::string(flag)), nullptr) << flag;
    }
  }
}

TEST(FlagRulesTest, AFlagWithoutEffectIsRefused) {
  SearchFlags with_defaults;
  with_defaults.set_batch(8);
  EXPECT_OK(Check("search", SearchFlags(with_defaults), {}));
  EXPECT_OK(Check("search", SearchFlags(), {{"batch", "4"}, {"deterministic", "true"}}));
  EXPECT_THAT(Check("search", SearchFlags(), {{"batch", "4"}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--batch has no effect without --deterministic; add that, or leave --batch "
                       "out"));
  EXPECT_FALSE(Check("search", SearchFlags(), {{"deterministic", "false"}, {"batch", "4"}}).ok());
  EXPECT_OK(Check("search", SearchFlags(), {{"compare", "tpe,grid"}, {"seeds", "2"}}));
  EXPECT_THAT(Check("search", SearchFlags(), {{"apply", "0"}, {"compare", "tpe,grid"}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--apply has no effect beside --compare; leave one")));
  EXPECT_OK(Check("search", SearchFlags(), {{"apply_best", "false"}, {"compare", "tpe"}}));
}

TEST(FlagRulesTest, ASettingThatAnotherActionHeedsIsRefused) {
  EXPECT_OK(Check("train", PassFlags(), {}, {"resume=run"}));
  EXPECT_THAT(Check("search", SearchFlags(), {}, {"resume=run"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--resume has no use here: search does not heed it, train does; a search or "
                       "a sweep goes on by the same command with its --run_dir"));
}

}  // namespace
}  // namespace mase
