#include "mase/interop/npz.h"

#include <map>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/interop/npy.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  const auto bytes = ReadFile(Runfile(absl::StrCat("testdata/npy/", name)), 1 << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

absl::StatusOr<std::map<std::string, Tensor>> UnpackAll(const std::string& bytes) {
  MASE_ASSIGN_OR_RETURN(const NpzFile file, NpzFile::Open(bytes));
  std::map<std::string, Tensor> arrays;
  for (const std::string& name : file.names()) {
    MASE_ASSIGN_OR_RETURN(const std::string member, file.Unpack(name));
    MASE_ASSIGN_OR_RETURN(const auto array, ParseNpy(member, name));
    arrays[name] = std::get<Tensor>(array);
  }
  return arrays;
}

TEST(NpzFileTest, StoredAndDeflatedArraysAreTheSame) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const auto arrays = UnpackAll(Golden(name));
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    ASSERT_EQ(arrays->size(), 2u);
    EXPECT_EQ(arrays->begin()->second.shape(), Shape({3, 2, 2})) << name;
  }
  const std::string bytes = Golden("stored.npz");
  const auto file = NpzFile::Open(bytes);
  EXPECT_THAT(file->names(), ElementsAre("x", "y"));
  EXPECT_EQ(file->Unpack("z").status().code(), absl::StatusCode::kNotFound);
}

// Sixty thousand names in a small file could stand for as many copies of one array.
TEST(NpzFileTest, NoTwoNamesShareAMember) {
  std::string bytes = Golden("deflated.npz");
  const size_t first = bytes.find("PK\x01\x02");
  const size_t second = bytes.find("PK\x01\x02", first + 1);
  ASSERT_NE(second, std::string::npos);
  bytes.replace(second + 42, 4, bytes, first + 42, 4);  // Where the member begins.
  EXPECT_THAT(std::string(NpzFile::Open(bytes).status().message()), HasSubstr("shared members"));
}

TEST(NpzFileTest, AnyFlippedBitOrCutIsAnErrorOrHarmless) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const std::string whole = Golden(name);
    const auto right = UnpackAll(whole);
    ASSERT_TRUE(right.ok());
    for (size_t at = 0; at < whole.size(); ++at) {
      EXPECT_FALSE(UnpackAll(whole.substr(0, at)).ok()) << name << " " << at;
      for (const char flip : {1, 0x40}) {
        std::string damaged = whole;
        damaged[at] ^= flip;
        const auto arrays = UnpackAll(damaged);
        if (!arrays.ok() || arrays->size() != right->size()) continue;
        // The checksums leave only names and unused fields to change.
        EXPECT_TRUE(BitEqual(arrays->rbegin()->second, right->rbegin()->second) ||
                    arrays->rbegin()->first != right->rbegin()->first)
            << name << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace mase
