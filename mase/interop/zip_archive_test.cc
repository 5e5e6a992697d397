#include "mase/interop/zip_archive.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(uint64_t number, int bytes) {
  return std::string(reinterpret_cast<const char*>(&number), static_cast<size_t>(bytes));
}

// An archive of empty, stored members of these names.
std::string Archive(const std::vector<std::string>& names) {
  std::string members, directory;
  for (const std::string& name : names) {
    const std::string facts = absl::StrCat(Bytes(0, 2), Bytes(0, 4), Bytes(0, 4), Bytes(0, 4),
                                           Bytes(0, 4), Bytes(name.size(), 2), Bytes(0, 2));
    absl::StrAppend(&directory, "PK\x01\x02", Bytes(20, 2), Bytes(20, 2), Bytes(0, 2), facts,
                    Bytes(0, 2), Bytes(0, 2), Bytes(0, 2), Bytes(0, 4), Bytes(members.size(), 4),
                    name);
    absl::StrAppend(&members, "PK\x03\x04", Bytes(20, 2), Bytes(0, 2), facts, name);
  }
  return absl::StrCat(members, directory, "PK\x05\x06", Bytes(0, 4), Bytes(names.size(), 2),
                      Bytes(names.size(), 2), Bytes(directory.size(), 4), Bytes(members.size(), 4),
                      Bytes(0, 2));
}

std::vector<std::string> Names(int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(absl::StrCat("member", i));
  return names;
}

TEST(ZipArchiveTest, MembersAreListedAndUnpacked) {
  const std::string bytes = Archive({"b/data.pkl", "a"});
  EXPECT_TRUE(IsZip(bytes));
  const ZipArchive archive = ValueOrDie(ZipArchive::Open(bytes));
  EXPECT_THAT(archive.names(), ElementsAre("a", "b/data.pkl"));
  EXPECT_EQ(ValueOrDie(archive.Unpack("a")), "");
  EXPECT_THAT(archive.Unpack("c"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'c'")));
}

TEST(ZipArchiveTest, MembersAreCountedBeforeTheyAreLookedAt) {
  for (const int64_t fits : {limits::kMaxArchiveMembers - 1, limits::kMaxArchiveMembers}) {
    EXPECT_OK(ZipArchive::Open(Archive(Names(fits))));
  }
  EXPECT_THAT(ZipArchive::Open(Archive(Names(limits::kMaxArchiveMembers + 1))),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10001 members")));
  EXPECT_THAT(ZipArchive::Open(Archive(Names(60000))),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("60000 members")));
}

TEST(ZipArchiveTest, ANameStandsOnce) {
  EXPECT_THAT(ZipArchive::Open(Archive({"a", "a"})),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("two members named 'a'")));
}

}  // namespace
}  // namespace mase
