#include "mase/data/numpy_table.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/data/labels.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(const std::string& path) {
  const auto bytes = ReadFile(Runfile(absl::StrCat("testdata/", path)), 1 << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

absl::StatusOr<DataTable> Read(const std::string& bytes, const TableColumns& wanted = {}) {
  return ReadNumpyTable("f", bytes, wanted);
}

DataTable ReadCase(const std::string& name, const TableColumns& wanted = {}) {
  const auto table = Read(Bytes("readers/" + name), wanted);
  EXPECT_TRUE(table.ok()) << name << table.status();
  return table.ok() ? *table : DataTable();
}

// A [rows, columns] array of float32.
std::string Npy(const std::string& shape, const std::vector<float>& values) {
  const std::string header =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': ", shape, ", }\n");
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size()));
  bytes.push_back('\0');
  bytes.append(header);
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

std::string Error(const std::string& bytes, const TableColumns& wanted = {}) {
  return std::string(Read(bytes, wanted).status().message());
}

TEST(NpzTableTest, FeaturesKeepTheirShape) {
  for (const char* name : {"npy/stored.npz", "npy/deflated.npz"}) {
    const auto table = Read(Bytes(name));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->features.shape(), Shape({3, 2, 2}));
    EXPECT_THAT(table->features.data<float>(),
                ElementsAre(0, .125, .25, .375, .5, .625, .75, .875, 1, 1.125, 1.25, 1.375));
    EXPECT_THAT(LabelsAsClasses(*table, {"0", "1", "2"})->data<int64_t>(), ElementsAre(2, 0, 1));
    EXPECT_THAT(table->notes, ElementsAre());
  }
}

TEST(NpzTableTest, TheSameRowsInOtherClothesAreTheSameRows) {
  const DataTable right = ReadCase("good.npz");
  ASSERT_EQ(right.features.shape(), Shape({40, 3}));
  const std::vector<std::string> classes = OrderClasses(right.class_texts);
  ASSERT_EQ(classes.size(), 2u);
  const Tensor labels = *LabelsAsClasses(right, classes);
  for (const char* name : {"fortran.npz", "column.npz", "onehot.npz", "text.npz", "half.npz"}) {
    const DataTable table = ReadCase(name);
    EXPECT_TRUE(BitEqual(*LabelsAsClasses(table, OrderClasses(table.class_texts)), labels)) << name;
    if (name != std::string("half.npz")) {
      EXPECT_TRUE(BitEqual(table.features, right.features)) << name;
      continue;
    }
    for (int i = 0; i < 120; ++i) {  // 11 bits of a number below 4.
      EXPECT_NEAR(table.features.data<float>()[i], right.features.data<float>()[i], 0x1p-10);
    }
  }
  EXPECT_THAT(ReadCase("onehot.npz").notes, ElementsAre("f: labels 'y' [40, 2] are one-hot"));
}

TEST(NpzTableTest, ArraysAreFoundByNameOrNamed) {
  EXPECT_EQ(ReadCase("good.npz", {"y", {"x"}}).label_name, "y");
  const std::string bytes = Bytes("readers/good.npz");
  EXPECT_EQ(Error(bytes, {"kind", {}}), "f: no array 'kind'; it has: x, y");
  EXPECT_EQ(Error(bytes, {"", {"9"}}), "f: no feature '9': 'x' has columns 0 to 2, without names");
  const DataTable chosen = ReadCase("good.npz", {"", {"2", "0"}});
  EXPECT_EQ(chosen.features.shape(), Shape({40, 2}));
  EXPECT_EQ(chosen.features.data<float>()[0], ReadCase("good.npz").features.data<float>()[2]);
  TableColumns unlabelled = {"kind", {"0", "1", "2"}};
  unlabelled.label_optional = true;
  EXPECT_EQ(ReadCase("good.npz", unlabelled).label_name, "class");
}

TEST(NpzTableTest, AColumnIsOneFeature) {
  const std::string bytes = Bytes("readers/good.npz");
  EXPECT_EQ(Error(bytes, {.features = {"2", "0", "2"}}), "f: feature '2' is named twice");
}

TEST(NpyTableTest, ColumnsHaveNumbers) {
  const auto table = Read(Bytes("npy/table.npy"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1.5, 2, 3, -4));
  EXPECT_THAT(table->class_texts, ElementsAre("0", "1"));
  EXPECT_THAT(table->notes,
              ElementsAre("f: the class is column '2', the last; dataset.label names another"));
  const std::string first = Npy("(2, 3)", {1, 5, 6, 0, 7, 8});
  EXPECT_THAT(Read(first, {"0", {}})->features.data<float>(), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(Read(first, {"0", {"2"}})->features.data<float>(), ElementsAre(6, 8));
  EXPECT_THAT(Read(first, {"0", {}})->feature_names, ElementsAre("1", "2"));
  EXPECT_EQ(Error(first, {"3", {}}), "f: no column '3'; did you mean '0'?");
  const std::string one_hot = Npy("(2, 3)", {5, 0, 1, 6, 1, 0});
  EXPECT_THAT(Read(one_hot, {"1,2", {}})->labels.data<int64_t>(), ElementsAre(1, 0));
  TableColumns unlabelled = {"3", {"0", "1", "2"}};
  unlabelled.label_optional = true;
  EXPECT_EQ(Read(first, unlabelled)->label_name, "");
  EXPECT_EQ(Read(first, unlabelled)->features.shape(), Shape({2, 3}));
  unlabelled = {"class", {"0", "1"}, true};
  EXPECT_THAT(Read(first, unlabelled)->class_texts, ElementsAre("6", "8"));
}

TEST(NpyTableTest, RoundingIsNoted) {
  const DataTable table = ReadCase("float64.npy", {"", {}, true});
  EXPECT_THAT(table.notes, ElementsAre(HasSubstr("values rounded to float32")));
}

TEST(NpyTableTest, WrongContentIsNamedWithItsRow) {
  const auto error = [](const std::vector<float>& values) {
    return Error(Npy("(2, 3)", values), {"2", {}});
  };
  EXPECT_EQ(error({1, 2, 0, 3, NAN, 1}), "f: row 1: feature 1 is not a finite number");
  EXPECT_EQ(error({1, INFINITY, 0, 3, 4, 1}), "f: row 0: feature 1 is not a finite number");
  EXPECT_EQ(error({1, 2, 0, 3, 4, NAN}), "f: row 1: label nan of '2' is no class");
  EXPECT_EQ(error({1, 2, 0, 3, 4, 0.5}),
            "f: row 1: '2', holds 0.5, which is no class; labels are whole numbers or texts");
  EXPECT_EQ(Error(Npy("(2, 2)", {1, 2, 3, 0.5})),
            "f: row 1: the last column, '1', holds 0.5, which is no class; name the column that "
            "holds the class: --set dataset.label=NAME");
  EXPECT_EQ(error({1, 2, -1, 3, 4, 1}), "");
  EXPECT_THAT(Error(Npy("(2,)", {1, 2})), HasSubstr("want [rows, columns]"));
  EXPECT_EQ(Error(Npy("(0, 3)", {})), "f: no rows");
}

}  // namespace
}  // namespace mase
