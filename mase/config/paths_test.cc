#include "mase/config/paths.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Shown(const std::vector<NamedPath>& paths) {
  std::vector<std::string> shown;
  for (const NamedPath& path : paths) shown.push_back(path.field + "=" + path.path);
  return shown;
}

TEST(PathsTest, ASettingReadsOrWrites) {
  RunConfig config;
  config.mutable_model()->set_load_name("net.safetensors");
  config.mutable_dataset()->set_train("rows.csv");
  config.mutable_goals()->set_junit("goals.xml");
  config.add_plugins()->set_path("a.so");
  EXPECT_THAT(Shown(PathsIn(config, PathUse::kRead)),
              ElementsAre("load_name=net.safetensors", "train=rows.csv", "path=a.so"));
  EXPECT_THAT(Shown(PathsIn(config, PathUse::kWritten)), ElementsAre("junit=goals.xml"));
  EXPECT_THAT(PathsIn(RunConfig(), PathUse::kRead), IsEmpty());
}

TEST(PathsTest, AFlagReadsOrWrites) {
  FormatsFlags flags;
  flags.add_in("x.npy");
  flags.add_in("y.npy");
  flags.add_out("z.npy");
  EXPECT_THAT(Shown(PathsIn(flags, PathUse::kRead)), ElementsAre("in=x.npy", "in=y.npy"));
  EXPECT_THAT(Shown(PathsIn(flags, PathUse::kWritten)), ElementsAre("out=z.npy"));
}

TEST(PathsTest, NothingReadIsWritten) {
  const std::string folder = ::testing::TempDir(), file = folder + "/paths_test_file";
  ASSERT_TRUE(WriteFileAtomically(file, "x").ok());
  EXPECT_TRUE(CheckNothingReadIsWritten({{"out", folder + "/none"}}, {{"in", file}}).ok());
  EXPECT_TRUE(CheckNothingReadIsWritten({{"run_dir", folder}}, {{"in", folder}}).ok());
  const absl::Status same =
      CheckNothingReadIsWritten({{"out", folder + "/./paths_test_file"}}, {{"in", file}});
  EXPECT_EQ(same.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(same.message(), HasSubstr("--out: "));
  EXPECT_THAT(same.message(), HasSubstr("is the same file as " + file + ", which is read"));
  const auto twice = [](const std::string& one, const std::string& other) {
    return CheckNothingReadIsWritten({{"junit", one}, {"predictions", other}}, {});
  };
  EXPECT_TRUE(twice(folder + "/a", folder + "/b").ok());
  EXPECT_TRUE(twice("/dev/null", "/dev/null").ok());
  EXPECT_THAT(twice(folder + "/a", folder + "/./a").message(),
              HasSubstr("--predictions: " + folder + "/./a: is written by --junit, too"));
}

}  // namespace
}  // namespace mase
