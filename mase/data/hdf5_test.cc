#include "mase/data/hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/runfiles.h"
#include "mase/data/hdf5_file.h"
#include "mase/data/hdf5_library.h"
#include "mase/data/labels.h"

// libhdf5 leaks on its way out of damaged files.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

struct Row {
  int64_t id;
  float a;
  double b;
  int32_t is_x;
  int32_t is_y;
};

// How the file of a test differs from a plain one.
class Layout {
 public:
  Layout& Declare(hsize_t n) { return rows = n, *this; }
  Layout& Chunk(hsize_t n) { return chunk = n, *this; }
  Layout& Deflate() { return deflate = true, *this; }
  Layout& Shuffle() { return shuffle = true, *this; }
  Layout& Fletcher() { return fletcher = true, *this; }
  Layout& FletcherFirst() { return fletcher_first = true, *this; }
  Layout& EdgesUnfiltered() { return edges_unfiltered = true, *this; }

  hsize_t rows = 0;  // 0: as many as are written.
  hsize_t chunk = 0;
  bool deflate = false;
  bool shuffle = false;
  bool fletcher = false;
  bool fletcher_first = false;    // As PyTables writes it.
  bool edges_unfiltered = false;  // Chunks that reach beyond the extent.
  bool text_member = false;
  bool big_endian = false;
  std::string external;
};

std::string WriteTable(const std::vector<Row>& rows, const Layout& layout = {}) {
  const std::string path = absl::StrCat(testing::TempDir(), "/table.h5");
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (layout.edges_unfiltered) {
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  }
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(Row) + (layout.text_member ? 8 : 0));
  H5Tinsert(type, "id", HOFFSET(Row, id), H5T_NATIVE_INT64);
  H5Tinsert(type, "a", HOFFSET(Row, a), layout.big_endian ? H5T_IEEE_F32BE : H5T_NATIVE_FLOAT);
  H5Tinsert(type, "b", HOFFSET(Row, b), H5T_NATIVE_DOUBLE);
  H5Tinsert(type, "is_x", HOFFSET(Row, is_x), H5T_NATIVE_INT32);
  H5Tinsert(type, "is_y", HOFFSET(Row, is_y), H5T_NATIVE_INT32);
  if (layout.text_member) {
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    H5Tinsert(type, "name", sizeof(Row), text);
    H5Tclose(text);
  }
  const hsize_t written = rows.size();
  const hsize_t extent = layout.rows != 0 ? layout.rows : written;
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  if (layout.chunk != 0) H5Pset_chunk(properties, 1, &layout.chunk);
  if (layout.edges_unfiltered) {
    H5Pset_chunk_opts(properties, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
  }
  if (layout.fletcher_first) H5Pset_fletcher32(properties);
  if (layout.shuffle) H5Pset_shuffle(properties);
  if (layout.deflate) H5Pset_deflate(properties, 1);
  if (layout.fletcher) H5Pset_fletcher32(properties);
  if (!layout.external.empty()) {
    H5Pset_external(properties, layout.external.c_str(), 0, H5F_UNLIMITED);
  }
  const hid_t table = H5Dcreate2(file, "t", type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  if (written > 0 && !layout.text_member) {
    const hid_t memory = H5Screate_simple(1, &written, nullptr);
    const hsize_t start = 0;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &written, nullptr);
    H5Dwrite(table, type, memory, space, H5P_DEFAULT, rows.data());
    H5Sclose(memory);
  }
  H5Dclose(table);
  H5Pclose(properties);
  H5Sclose(space);
  H5Tclose(type);
  H5Fclose(file);
  return path;
}

const Hdf5Columns kColumns = {"t", {"b", "a"}, {"is_x", "is_y"}, {"x", "y"}};

std::vector<Row> Rows(int64_t count) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t x = i % 3 == 0;
    rows.push_back({i, static_cast<float>(i), i + 0.5, x, 1 - x});
  }
  return rows;
}

absl::Status ReadStatus(const std::vector<Row>& rows, const Layout& layout = {}) {
  return ReadHdf5Table(WriteTable(rows, layout), kColumns).status();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(ReadHdf5TableTest, TakesMembersByNameAndOneHotClasses) {
  const auto table = ReadHdf5Table(WriteTable(Rows(3)), kColumns);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("b", "a"));
  EXPECT_THAT(table->features.data<float>(), ElementsAre(0.5, 0, 1.5, 1, 2.5, 2));
  EXPECT_THAT(LabelsAsClasses(*table, {"x", "y"})->data<int64_t>(), ElementsAre(0, 1, 1));
}

TEST(ReadHdf5TableTest, ChunkedAndCompressedTablesAreTheSame) {
  const std::vector<Row> rows = Rows(1'000'000);  // Several blocks.
  for (const Layout& layout :
       {Layout(), Layout().Chunk(1000), Layout().Chunk(999).Deflate(),
        Layout().Chunk(1001).Shuffle().Deflate(), Layout().Chunk(1'000'000).Deflate(),
        Layout().Chunk(997).Shuffle().Deflate().Fletcher(),
        Layout().Chunk(997).FletcherFirst().Deflate(),
        Layout().Chunk(997).FletcherFirst().Shuffle().Deflate().Fletcher(),
        Layout().Chunk(997).Deflate().EdgesUnfiltered()}) {
    const auto table = ReadHdf5Table(WriteTable(rows, layout), kColumns);
    ASSERT_TRUE(table.ok()) << table.status();
    const auto features = table->features.data<float>();
    for (int64_t i = 0; i < table->rows(); ++i) {
      ASSERT_EQ(features[2 * i], static_cast<float>(i + 0.5));
      ASSERT_EQ(features[2 * i + 1], static_cast<float>(i));
    }
  }
}

TEST(ReadHdf5TableTest, TheFirstOfEqualClassMembersWinsButPatternsStayApart) {
  const auto table =
      ReadHdf5Table(WriteTable({{0, 1, 1, 0, 0}, {1, 1, 1, 1, 0}, {2, 1, 1, 1, 1}}), kColumns);
  ASSERT_TRUE(table.ok());
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(0, 1, 2));
  EXPECT_THAT(table->class_texts, ElementsAre("x", "x", "x"));
}

TEST(ReadHdf5TableTest, WrongContentIsNamed) {
  std::vector<Row> rows = Rows(5);
  rows[3].a = std::nanf("");
  EXPECT_THAT(Message(ReadStatus(rows)), HasSubstr("row 3: column 'a' is not a finite number"));
  rows[3].a = 0;
  rows[4].b = 1e300;  // Infinite as float32.
  EXPECT_THAT(Message(ReadStatus(rows)), HasSubstr("row 4: column 'b' is not a finite number"));
  Hdf5Columns columns = kColumns;
  columns.features = {"idd"};
  EXPECT_THAT(Message(ReadHdf5Table(WriteTable(Rows(1)), columns).status()),
              HasSubstr("no column 'idd'; did you mean 'id'?"));
  columns = kColumns;
  columns.dataset = "u";
  EXPECT_THAT(Message(ReadHdf5Table(WriteTable(Rows(1)), columns).status()),
              HasSubstr("no data set 'u'"));
  EXPECT_THAT(Message(ReadStatus({})), HasSubstr("no rows"));
}

TEST(ReadHdf5TableTest, WhatCannotBeReadSafelyIsRefused) {
  Layout texts, elsewhere;
  texts.text_member = true;
  elsewhere.external = absl::StrCat(testing::TempDir(), "/elsewhere");
  for (const Layout& layout : {texts, elsewhere}) {
    EXPECT_EQ(ReadStatus(Rows(1), layout).code(), absl::StatusCode::kUnimplemented);
  }
}

TEST(ReadHdf5TableTest, AbsurdDeclaredSizesAreRefusedBeforeAllocating) {
  const hsize_t most = limits::kMaxDataRows;
  EXPECT_EQ(ReadStatus(Rows(1), Layout().Declare(most + 1).Chunk(10)).code(),
            absl::StatusCode::kResourceExhausted);
  // Within the limit, but a small file cannot hold as much.
  const absl::Status status = ReadStatus(Rows(1), Layout().Declare(most).Chunk(10).Deflate());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), HasSubstr("declares 2147483648 rows but does not hold them"));
  const hsize_t chunk = limits::kMaxHdf5ChunkBytes / sizeof(Row);
  EXPECT_EQ(ReadStatus({}, Layout().Declare(chunk + 1).Chunk(chunk + 1).Deflate()).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(ReadStatus({}, Layout().Declare(chunk).Chunk(chunk).Deflate())),
              HasSubstr("rows were never written"));
}

TEST(ReadHdf5TableTest, TruncatedFilesAreDataLossWhereverTheyEnd) {
  for (int part = 0; part < 37; ++part) {
    const std::string path = WriteTable(Rows(2000), Layout().Chunk(100).Deflate());
    const int64_t cut = 8 + (std::filesystem::file_size(path) - 8) * part / 37;
    std::filesystem::resize_file(path, cut);
    const absl::Status status = ReadHdf5Table(path, kColumns).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << cut << " " << status;
  }
}

// Among them: members that reach beyond their row and chunks that unpack to another size than
// they should, for which the library itself would read or write out of bounds.
TEST(ReadHdf5TableTest, NoFlippedByteDoesHarm) {
  for (const Layout& layout : {Layout(), Layout().Chunk(8).Shuffle().Deflate()}) {
    const std::string path = WriteTable(Rows(20), layout);
    const int64_t size = std::filesystem::file_size(path);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto flip = [&file](int64_t at) {
      file.seekg(at);
      const char byte = file.get();
      file.seekp(at);
      file.put(byte ^ 0x55).flush();
    };
    for (int64_t at = 0; at < size; at += 7) {  // The fuzz targets change all.
      flip(at);
      const absl::StatusOr<DataTable> table = ReadHdf5Table(path, kColumns);
      if (table.ok()) {
        EXPECT_EQ(table->features.shape()[1], 2) << at;
      }
      flip(at);
    }
  }
}

TEST(ReadHdf5TableTest, ChecksumsAreChecked) {
  const std::string path = WriteTable(Rows(20), Layout().Chunk(20).Fletcher());
  ASSERT_TRUE(ReadHdf5Table(path, kColumns).ok());
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const double value = 7.5;  // Column b of row 7.
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof(value)));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_THAT(Message(ReadHdf5Table(path, kColumns).status()), HasSubstr("a chunk's checksum"));
}

TEST(ReadHdf5TableTest, BigEndianMembersAreTheSame) {
  Layout layout;
  layout.big_endian = true;
  std::vector<Row> rows = Rows(2);
  for (Row& row : rows) {  // The test writes the file's own bytes.
    char* bytes = reinterpret_cast<char*>(&row.a);
    std::reverse(bytes, bytes + sizeof(row.a));
  }
  const auto table = ReadHdf5Table(WriteTable(rows, layout), kColumns);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features.data<float>(), ElementsAre(0.5, 0, 1.5, 1));
}

// A data set of `dims`, written by the library from native values in another type and layout.
void WriteArray(hid_t file, const char* name, const std::vector<hsize_t>& dims, hid_t native,
                hid_t type, const void* values, const std::vector<hsize_t>& chunk = {}) {
  const hid_t space = H5Screate_simple(dims.size(), dims.data(), nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  if (!chunk.empty()) {
    H5Pset_chunk(properties, chunk.size(), chunk.data());
    H5Pset_shuffle(properties);
    H5Pset_deflate(properties, 1);
    H5Pset_fletcher32(properties);
  }
  const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  H5Dwrite(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(set);
  H5Pclose(properties);
  H5Sclose(space);
}

class Hdf5ArraysTest : public testing::Test {
 protected:
  Hdf5ArraysTest() { file_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT); }
  absl::StatusOr<DataTable> Read(const TableColumns& wanted = {}) {
    H5Fclose(file_);
    return ReadHdf5(path_, wanted);
  }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/arrays.h5");
  hid_t file_;
};

TEST_F(Hdf5ArraysTest, AnyTypeOrderAndChunksGiveTheSameNumbers) {
  constexpr int kRows = 7, kWidth = 5;
  std::vector<double> values;
  for (int i = 0; i < kRows * kWidth; ++i) values.push_back(i);
  std::vector<int32_t> labels = {0, 1, 2, 0, 1, 2, 0};
  WriteArray(file_, "y", {kRows}, H5T_NATIVE_INT32, H5T_STD_I64BE, labels.data());
  const hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE,
                         H5T_STD_I8LE,   H5T_STD_I16BE,  H5T_STD_U32LE,  H5T_STD_U64BE};
  int count = 0;
  for (const hid_t type : types) {
    for (const std::vector<hsize_t>& chunk :
         {std::vector<hsize_t>{}, {kRows, kWidth}, {2, 3}, {3, 1}}) {
      WriteArray(file_, absl::StrCat("x", count++).c_str(), {kRows, kWidth}, H5T_NATIVE_DOUBLE,
                 type, values.data(), chunk);
    }
  }
  H5Fclose(file_);
  for (int i = 0; i < count; ++i) {
    const auto table = ReadHdf5(path_, {"", {absl::StrCat("x", i)}});
    ASSERT_TRUE(table.ok()) << i << table.status();
    for (int at = 0; at < kRows * kWidth; ++at) {
      ASSERT_EQ(table->features.data<float>()[at], at) << i;
    }
    EXPECT_THAT(LabelsAsClasses(*table, {"0", "1", "2"})->data<int64_t>(),
                ElementsAre(0, 1, 2, 0, 1, 2, 0));
  }
}

TEST_F(Hdf5ArraysTest, ImagesAndNamesInGroups) {
  std::vector<float> values;
  for (int i = 0; i < 24; ++i) values.push_back(i);
  const hid_t group = H5Gcreate2(file_, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  WriteArray(file_, "train/pixels", {3, 2, 4}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data(),
             {2, 2, 3});
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 4);
  WriteArray(file_, "train/kind", {3}, text, text, "dog\0cat\0dog");
  H5Tclose(text);
  H5Gclose(group);
  const auto table = Read({"train/kind", {"train/pixels"}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->features.shape(), Shape({3, 2, 4}));
  EXPECT_EQ(table->features.data<float>()[23], 23);
  EXPECT_THAT(table->class_texts, ElementsAre("dog", "cat"));
  EXPECT_EQ(ReadHdf5(path_, {}).status().message(),
            absl::StrCat(path_,
                         ": no array of features; name one: --set dataset.features=NAME; it "
                         "has: train/kind, train/pixels"));
}

TEST(ReadHdf5TableTest, LinksToOtherFilesAreNotFollowed) {
  const std::string table = WriteTable(Rows(3));
  const std::string path = absl::StrCat(testing::TempDir(), "/link.h5");
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external(table.c_str(), "/t", file, "t", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  const absl::Status status = ReadHdf5Table(path, kColumns).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Message(status), HasSubstr("data set 't' is a link to another file"));
}

TEST(ReadHdf5Test, TheOnlyTableOfAFileIsReadByItsColumns) {
  const auto table =
      ReadHdf5(WriteTable(Rows(6), Layout().Chunk(4).Deflate()), {"is_x,is_y", {"b", "a"}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("b", "a"));
  EXPECT_THAT(table->left_out, ElementsAre("id"));
  EXPECT_EQ(table->features.data<float>()[2], 1.5);
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(0, 1, 1, 0, 1, 1));
  const auto last = ReadHdf5(WriteTable(Rows(6)), {});
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_THAT(last->notes, ElementsAre(HasSubstr("the class is column 'is_y', the last")));
}

TEST_F(Hdf5ArraysTest, LinksWithinAFileAreReadWhereTheyAreNamed) {
  const std::vector<float> values(6, 1);
  const std::vector<int32_t> labels = {0, 1, 0};
  WriteArray(file_, "a", {3, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data());
  WriteArray(file_, "b", {3}, H5T_NATIVE_INT32, H5T_NATIVE_INT32, labels.data());
  H5Lcreate_hard(file_, "a", file_, "hard", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/b", file_, "soft", H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_TRUE(Read({"soft", {"hard"}}).ok());
  EXPECT_TRUE(ReadHdf5(path_, {"/b", {"/a"}}).ok());
}

TEST(ReadHdf5Test, ABlockOfTheirOwnersMayStandBeforeTheFormat) {
  const std::string path = absl::StrCat(testing::TempDir(), "/user_block.h5");
  std::vector<float> values(60);
  std::iota(values.begin(), values.end(), 0.0f);
  const std::vector<int32_t> labels(30, 1);
  for (const hsize_t block : {512, 2048, 32768}) {
    const hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(create, block);
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create, H5P_DEFAULT);
    H5Pclose(create);
    WriteArray(file, "plain", {30, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data());
    WriteArray(file, "chunks", {30, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data(), {7, 2});
    WriteArray(file, "y", {30}, H5T_NATIVE_INT32, H5T_NATIVE_INT32, labels.data());
    H5Fclose(file);
    std::ifstream stream(path, std::ios::binary);
    std::string head(1 << 16, '\0');
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    head.resize(static_cast<size_t>(stream.gcount()));
    EXPECT_TRUE(IsHdf5(head)) << block;
    for (const char* name : {"plain", "chunks"}) {
      const auto table = ReadHdf5(path, {"y", {name}});
      ASSERT_TRUE(table.ok()) << block << table.status();
      EXPECT_THAT(table->features.data<float>(), ElementsAreArray(values)) << block << name;
    }
  }
}

TEST(IsHdf5Test, MatlabsFilesAreNone) {
  std::string head = "MATLAB 7.3 MAT-file";
  head.resize(512, ' ');
  head.append("\x89HDF\r\n\x1a\n", 8);
  EXPECT_FALSE(IsHdf5(head));
}

TEST(ReadHdf5Test, FilesHaveAsManyDataSetsAsTheLimit) {
  const std::string path = absl::StrCat(testing::TempDir(), "/many.h5");
  const std::vector<float> values(6, 1);
  const std::vector<int32_t> labels = {0, 1, 0};
  for (const int more : {0, 1}) {
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    WriteArray(file, "x", {3, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data());
    WriteArray(file, "y", {3}, H5T_NATIVE_INT32, H5T_NATIVE_INT32, labels.data());
    for (int i = 2; i < limits::kMaxHdf5DataSets + more; ++i) {
      WriteArray(file, absl::StrCat("a", i).c_str(), {3}, H5T_NATIVE_INT32, H5T_NATIVE_INT32,
                 labels.data());
    }
    H5Fclose(file);
    const absl::Status status = ReadHdf5(path, {}).status();
    EXPECT_EQ(status.code(),
              more == 0 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted)
        << status;
  }
  auto file = Hdf5File::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Names().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(file->Find("/y").ok());  // As the weights of a large net are found.
}

// As many data sets as there may be, each in the headers of the file, which hold 64 KiB of it;
// their descriptions, elements included, are a little less than the limit together, and the name of
// one makes up for it.
std::string WriteLongFacts(int64_t name_bytes) {
  const std::string path = absl::StrCat(testing::TempDir(), "/long.h5");
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<uint8_t> values(65000, 1);
  const hsize_t dim = values.size();
  const hid_t space = H5Screate_simple(1, &dim, nullptr);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_layout(properties, H5D_COMPACT);
  for (int i = 0; i < limits::kMaxHdf5DataSets; ++i) {
    const std::string name = absl::StrCat(std::string(i == 0 ? name_bytes : 2000, 'n'), i);
    const hid_t set =
        H5Dcreate2(file, name.c_str(), H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set);
  }
  H5Pclose(properties);
  H5Sclose(space);
  H5Fclose(file);
  return path;
}

TEST(DescribeHdf5Test, WhatLiesWhereIsAsLongAsTheLimit) {
  // Reading an answer may take 50 times its bytes, which a small machine does not have.
  const int64_t memory = MemoryLimit();
  SetMemoryLimit(int64_t{8} << 30);
  const absl::Cleanup restore = [memory] { SetMemoryLimit(memory); };
  constexpr int64_t kSome = 20000;
  const auto some = DescribeHdf5(WriteLongFacts(kSome));
  ASSERT_TRUE(some.ok()) << some.status();
  constexpr int64_t kMost = limits::kMaxHdf5FactsBytes - 1;  // An answer begins with its code.
  const int64_t most = kSome + kMost - static_cast<int64_t>(some->ByteSizeLong());
  const auto at = DescribeHdf5(WriteLongFacts(most));
  ASSERT_TRUE(at.ok()) << at.status();
  EXPECT_EQ(at->ByteSizeLong(), kMost);
  const absl::Status beyond = DescribeHdf5(WriteLongFacts(most + 1)).status();
  EXPECT_EQ(beyond.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(beyond), HasSubstr("67108865 bytes, more than the limit of 67108864"));
  std::filesystem::remove(absl::StrCat(testing::TempDir(), "/long.h5"));
}

TEST(ReadHdf5Test, ANameOfAFileStaysOnItsLine) {
  const std::string path = absl::StrCat(testing::TempDir(), "/names.h5");
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<float> values(6, 1);
  WriteArray(file, "a\nERROR forged", {3, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data());
  WriteArray(file, "b", {3, 2}, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT, values.data());
  H5Fclose(file);
  EXPECT_THAT(Message(ReadHdf5(path, {}).status()), HasSubstr("it has: a\\nERROR forged, b"));
}

TEST(ReadHdf5Test, NoFlippedByteDoesHarm) {
  const std::string path = absl::StrCat(testing::TempDir(), "/flipped.h5");
  const hid_t created = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<float> values(24, 1);
  const std::vector<int32_t> labels = {0, 1, 0, 1, 0, 1};
  WriteArray(created, "x", {6, 4}, H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, values.data(), {4, 3});
  WriteArray(created, "y", {6}, H5T_NATIVE_INT32, H5T_STD_I32LE, labels.data());
  H5Fclose(created);
  const int64_t size = std::filesystem::file_size(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (int64_t at = 0; at < size; at += 7) {
    for (int twice = 0; twice < 2; ++twice) {
      file.seekg(at);
      const char byte = file.get();
      file.seekp(at);
      file.put(byte ^ 0x55).flush();
      if (twice == 0) ReadHdf5(path, {}).status().IgnoreError();
    }
  }
}

// The size of a group's heap is beyond all memory, and the library reads to where it got none.
TEST(ReadHdf5Test, WhatMakesTheLibraryCrashIsDamaged) {
  const std::string path = Runfile("mase/testing/fuzz/corpus/hdf5_file/local_heap.h5");
  const absl::Status status = ReadHdf5(path, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), HasSubstr("local_heap.h5 is damaged: reading it crashed (SIG"));
}

TEST(ReadHdf5TableTest, DamagedChunksAreDataLoss) {
  const std::string path = WriteTable(Rows(20000), Layout().Chunk(20000).Deflate());
  const int64_t size = std::filesystem::file_size(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(size / 2);
  file.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  file.close();
  EXPECT_EQ(ReadHdf5Table(path, kColumns).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace mase
