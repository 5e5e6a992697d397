#include "mase/base/crc32c.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(Crc32cTest, EqualsThePublishedCheckValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32cTest, ContinuesOverPieces) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const uint32_t head = Crc32c(absl::string_view(text).substr(0, cut));
    EXPECT_EQ(Crc32c(absl::string_view(text).substr(cut), head), Crc32c(text)) << cut;
  }
}

TEST(Crc32cTest, MasksAsTensorBoardDoes) {
  // The first record of every event file is 24 bytes long: its length's masked checksum.
  EXPECT_EQ(MaskCrc32c(Crc32c(absl::string_view("\x18\0\0\0\0\0\0\0", 8))), 0x224b7fa3u);
}

}  // namespace
}  // namespace mase
