#include "mase/interop/inflate.h"

#include <zlib.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNoLimit = int64_t{1} << 40;

std::string Deflate(const std::string& bytes, Packing packing) {
  z_stream stream = {};
  const int window = packing == Packing::kGzip ? 15 + 16 : -15;
  deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

TEST(InflateTest, UnpacksWhatWasPacked) {
  for (const Packing packing : {Packing::kGzip, Packing::kDeflate}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100000}, size_t{1} << 22}) {
      std::string text;
      for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(i * i >> 3));
      EXPECT_EQ(ValueOrDie(Inflate(Deflate(text, packing), packing, kNoLimit)), text);
    }
  }
}

TEST(InflateTest, MembersOfAGzipFileAreOneText) {
  const std::string packed = Deflate("one,", Packing::kGzip) + Deflate("two", Packing::kGzip);
  EXPECT_EQ(ValueOrDie(Inflate(packed, Packing::kGzip, kNoLimit)), "one,two");
}

TEST(InflateTest, DamageIsSaid) {
  const std::string packed = Deflate(std::string(1000, 'x') + "yz", Packing::kGzip);
  EXPECT_THAT(Inflate(packed.substr(0, packed.size() - 5), Packing::kGzip, kNoLimit),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated gzip file")));
  EXPECT_THAT(Inflate("\xff\xff\xff", Packing::kDeflate, kNoLimit),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("damaged member")));
}

TEST(InflateTest, TheLimitIsKeptToTheByte) {
  const std::string packed = Deflate(std::string(100000, 'x'), Packing::kGzip);
  EXPECT_EQ(ValueOrDie(Inflate(packed, Packing::kGzip, 100000)).size(), 100000);
  EXPECT_THAT(Inflate(packed, Packing::kGzip, 99999),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("more than 99999 bytes")));
}

// A hundred megabytes of zeros in a hundred kilobytes.
TEST(InflateTest, ABombIsRefusedByItsRatio) {
  const std::string packed =
      Deflate(std::string(limits::kUnpackedBytesFree + 1, '\0'), Packing::kGzip);
  EXPECT_LT(packed.size(), 200000);
  EXPECT_THAT(Inflate(packed, Packing::kGzip, kNoLimit),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("which is the limit for")));
}

}  // namespace
}  // namespace mase
