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

// 64 megabytes of zeros in 64 kilobytes are free; one byte more has the ratio of a bomb.
TEST(InflateTest, ABombIsRefusedByItsRatio) {
  for (const int64_t more : {-1, 0, 1}) {
    const int64_t bytes = limits::kUnpackedBytesFree + more;
    const std::string packed = Deflate(std::string(bytes, '\0'), Packing::kGzip);
    EXPECT_LT(packed.size(), 200000);
    const auto unpacked = Inflate(packed, Packing::kGzip, kNoLimit);
    if (more <= 0) {
      EXPECT_EQ(ValueOrDie(unpacked).size(), bytes);
    } else {
      EXPECT_THAT(unpacked, StatusIs(absl::StatusCode::kResourceExhausted,
                                     HasSubstr("which is the limit for")));
    }
  }
}

// Beyond what is free the budget is a ratio of the packed size.
TEST(InflateTest, TheBudgetGrowsWithThePackedSize) {
  const auto budget = [](int64_t packed, int64_t most) {
    return Inflater(Packing::kGzip, packed, most, [] { return absl::string_view(); }).budget();
  };
  const int64_t at = limits::kUnpackedBytesFree / limits::kMaxUnpackRatio;
  EXPECT_EQ(budget(at, kNoLimit), limits::kUnpackedBytesFree);
  EXPECT_EQ(budget(at + 1, kNoLimit), (at + 1) * limits::kMaxUnpackRatio);
  EXPECT_EQ(budget(kNoLimit / 1000, limits::kMaxUnpackedBytes), limits::kMaxUnpackedBytes);
}

TEST(InflateTest, ComesPieceByPiece) {
  const std::string text = std::string(100000, 'x') + "end";
  const std::string packed = Deflate(text, Packing::kGzip);
  size_t at = 0;
  Inflater inflater(Packing::kGzip, static_cast<int64_t>(packed.size()), kNoLimit, [&] {
    return at == packed.size() ? absl::string_view() : absl::string_view(packed).substr(at++, 1);
  });
  std::string unpacked, piece(777, '\0');
  while (true) {
    const size_t got = ValueOrDie(inflater.Read(absl::MakeSpan(piece)));
    unpacked.append(piece, 0, got);
    if (got < piece.size()) break;
  }
  EXPECT_TRUE(unpacked == text);
}

}  // namespace
}  // namespace mase
