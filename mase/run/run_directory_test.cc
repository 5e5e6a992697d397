#include "mase/run/run_directory.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TEST(RunDirectoryTest, OneRunAtATimeIsAtIt) {
  RunConfig config;
  config.set_run_dir(NewFolder() + "/run");
  std::optional<RunDirectory> first = ValueOrDie(RunDirectory::Create(config, "train", "m", "d"));
  EXPECT_OK(first->WriteSettings(config));
  EXPECT_THAT(RunDirectory::Reopen(config.run_dir()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another run is at this")));
  first.reset();
  EXPECT_OK(RunDirectory::Reopen(config.run_dir()));
}

}  // namespace
}  // namespace mase
