#include "mase/data/npy.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  const auto bytes = ReadFile(Runfile(absl::StrCat("testdata/npy/", name)), 1 << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

std::string Npy(const std::string& descr, const std::string& shape, const std::string& data,
                const std::string& order = "False") {
  const std::string header = absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", order,
                                          ", 'shape': ", shape, ", }\n");
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size()));
  bytes.push_back('\0');
  return bytes + header + data;
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string TableError(const std::string& bytes, const std::string& label = "") {
  return std::string(ReadNumpyTable("f", bytes, label).status().message());
}

TEST(ParseNpyTest, ReadsEveryElementType) {
  EXPECT_THAT(ParseNpy(Npy("<f4", "(2,)", Bytes<float>({1, -2})))->data<float>(),
              ElementsAre(1, -2));
  EXPECT_THAT(ParseNpy(Npy("<f8", "(1, 2)", Bytes<double>({1, -2})))->data<double>(),
              ElementsAre(1, -2));
  EXPECT_THAT(ParseNpy(Npy("|i1", "(2,)", Bytes<int8_t>({1, -2})))->data<int8_t>(),
              ElementsAre(1, -2));
  EXPECT_THAT(ParseNpy(Npy("|u1", "(2,)", Bytes<uint8_t>({1, 254})))->data<uint8_t>(),
              ElementsAre(1, 254));
  EXPECT_THAT(ParseNpy(Npy("|b1", "(2,)", Bytes<uint8_t>({1, 0})))->data<uint8_t>(),
              ElementsAre(1, 0));
  EXPECT_THAT(ParseNpy(Npy("<i2", "(2,)", Bytes<int16_t>({1, -2})))->data<int32_t>(),
              ElementsAre(1, -2));
  EXPECT_THAT(ParseNpy(Npy("<u2", "(1,)", Bytes<uint16_t>({65535})))->data<int32_t>(),
              ElementsAre(65535));
  EXPECT_THAT(ParseNpy(Npy("<i4", "(2,)", Bytes<int32_t>({1, -2})))->data<int32_t>(),
              ElementsAre(1, -2));
  EXPECT_THAT(ParseNpy(Npy("<u4", "(1,)", Bytes<uint32_t>({~0u})))->data<int64_t>(),
              ElementsAre(int64_t{0xFFFFFFFF}));
  EXPECT_THAT(ParseNpy(Npy("<i8", "()", Bytes<int64_t>({-3})))->data<int64_t>(), ElementsAre(-3));
  EXPECT_EQ(ParseNpy(Npy("<f4", "(0, 7)", ""))->shape(), Shape({0, 7}));
  EXPECT_TRUE(ParseNpy(Npy("<f4", "(1,)", Bytes<float>({1}), "True")).ok());
}

TEST(ParseNpyTest, RefusesWhatItCannotRead) {
  EXPECT_EQ(ParseNpy(Npy("<c8", "(1,)", "12345678")).status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ParseNpy(Npy(">f4", "(1,)", "1234")).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ParseNpy(Npy("<f4", "(1, 1)", "1234", "True")).status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST(ParseNpyTest, DamageIsDataLossWhereverItIs) {
  const std::string whole = Npy("<f4", "(2, 3)", std::string(24, 'x'));
  ASSERT_TRUE(ParseNpy(whole).ok());
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_EQ(ParseNpy(whole.substr(0, cut)).status().code(), absl::StatusCode::kDataLoss) << cut;
  }
  for (const char* shape : {"(2, 4)", "(2, -3)", "(2, x)", "2", "(2", "(2.5,)"}) {
    EXPECT_EQ(ParseNpy(Npy("<f4", shape, std::string(24, 'x'))).status().code(),
              absl::StatusCode::kDataLoss)
        << shape;
  }
}

TEST(ParseNpyTest, DeclaredSizesAreLimited) {
  const int64_t most = limits::kMaxTensorElements;
  EXPECT_EQ(ParseNpy(Npy("<f4", absl::StrCat("(", most, ",)"), "")).status().code(),
            absl::StatusCode::kDataLoss);  // Allowed, but not there.
  EXPECT_EQ(ParseNpy(Npy("<f4", absl::StrCat("(", most + 1, ",)"), "")).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ParseNpzTest, ReadsWhatNumpyWrites) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const auto table = ReadNumpyTable(name, Golden(name), "");
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->features.shape(), Shape({3, 2, 2}));
    EXPECT_THAT(table->features.data<float>(),
                ElementsAre(0, .125, .25, .375, .5, .625, .75, .875, 1, 1.125, 1.25, 1.375));
    EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(2, 0, 1));
    EXPECT_THAT(table->class_texts, ElementsAre("0", "1", "2"));
  }
}

TEST(ParseNpzTest, AnyFlippedBitOrCutIsAnErrorOrHarmless) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const std::string whole = Golden(name);
    const auto right = ParseNpz(whole);
    ASSERT_TRUE(right.ok());
    for (size_t at = 0; at < whole.size(); ++at) {
      EXPECT_FALSE(ParseNpz(whole.substr(0, at)).ok()) << name << " " << at;
      for (const char flip : {1, 0x40}) {
        std::string damaged = whole;
        damaged[at] ^= flip;
        const auto arrays = ParseNpz(damaged);
        if (!arrays.ok() || arrays->size() != right->size()) continue;
        // The checksums leave only names and unused fields to change.
        EXPECT_TRUE(BitEqual(arrays->rbegin()->second, right->rbegin()->second) ||
                    arrays->rbegin()->first != right->rbegin()->first)
            << name << " " << at;
      }
    }
  }
}

TEST(ReadNumpyTableTest, TheLastColumnOfAnNpyIsTheClassUnlessNamed) {
  const auto table = ReadNumpyTable("f", Golden("table.npy"), "");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1.5, 2, 3, -4));
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(0, 1));
  const std::string first = Npy("<i8", "(2, 2)", Bytes<int64_t>({1, 5, 0, 6}));
  EXPECT_THAT(ReadNumpyTable("f", first, "0")->features.data<float>(), ElementsAre(5, 6));
  EXPECT_EQ(TableError(first, "2"), "f: no column '2': want a number from 0 to 1");
}

TEST(ReadNumpyTableTest, WrongContentIsNamedWithItsRow) {
  const auto error = [](const std::vector<float>& values) {
    return TableError(Npy("<f4", "(2, 3)", Bytes(values)));
  };
  EXPECT_EQ(error({1, 2, 0, 3, NAN, 1}), "f: row 1: feature 1 is not a finite number");
  EXPECT_EQ(error({1, INFINITY, 0, 3, 4, 1}), "f: row 0: feature 1 is not a finite number");
  EXPECT_THAT(error({1, 2, -1, 3, 4, 1}), HasSubstr("f: row 0: label -1 is not a whole number"));
  EXPECT_THAT(error({1, 2, 0, 3, 4, 0.5}), HasSubstr("f: row 1: label 0.5"));
  EXPECT_THAT(error({1, 2, 0, 3, 4, NAN}), HasSubstr("f: row 1: label nan"));
  EXPECT_THAT(error({1, 2, 0, 3, 4, static_cast<float>(limits::kMaxClasses)}),
              HasSubstr("from 0 to 1048575"));
  EXPECT_THAT(error({1, 2, 0, 3, 4, static_cast<float>(limits::kMaxClasses - 1)}), "");
  EXPECT_THAT(TableError(Npy("<f4", "(2,)", "12345678")), HasSubstr("want [rows, columns]"));
  EXPECT_EQ(TableError(Npy("<f4", "(0, 3)", "")), "f: no rows");
}

}  // namespace
}  // namespace mase
