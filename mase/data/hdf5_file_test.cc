// What a child says of an HDF5 file is checked: facts in, error out.
#include "mase/data/hdf5_file.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kBytes[] = "..abcdefghijkl";  // Of the file.

absl::StatusOr<Hdf5DataSet> Of(const Hdf5DataSetFacts& facts) {
  const std::string path = absl::StrCat(testing::TempDir(), "/facts.h5");
  const absl::string_view pieces[] = {absl::string_view(kBytes, sizeof(kBytes) - 1)};
  EXPECT_TRUE(WriteFileAtomically(path, pieces, Durability::kUnsynced).ok());
  return Hdf5DataSet::Of(path, std::make_shared<const InputFile>(InputFile::Open(path).value()),
                         facts);
}

// Six int16 in one piece.
Hdf5DataSetFacts Numbers() {
  Hdf5DataSetFacts facts;
  facts.set_name("x");
  facts.set_element_bytes(2);
  facts.add_member()->set_bytes(2);
  facts.mutable_member(0)->set_number(HDF5_INT16);
  facts.add_dim(2);
  facts.add_dim(3);
  facts.set_layout(Hdf5DataSetFacts::CONTIGUOUS);
  facts.set_address(2);
  facts.set_stored_bytes(12);
  return facts;
}

// The same in four chunks of two numbers each, of which every second has one beyond the extent.
Hdf5DataSetFacts InChunks() {
  Hdf5DataSetFacts facts = Numbers();
  facts.set_layout(Hdf5DataSetFacts::CHUNKED);
  facts.add_chunk_dim(1);
  facts.add_chunk_dim(2);
  facts.set_stored_bytes(16);
  return facts;
}

Hdf5Chunks Chunks(const std::vector<uint64_t>& sizes = {4, 4, 4, 4}) {
  const auto bytes = std::make_shared<std::string>("abcdef..ghijkl..");
  Hdf5Chunks chunks = {std::shared_ptr<const char>(bytes, bytes->data()), bytes->size(), {}};
  for (const uint64_t size : sizes) {
    chunks.facts.add_bytes(size);
    chunks.facts.add_skipped_filters(0);
  }
  return chunks;
}

// All elements, or the error.
std::string Read(const Hdf5DataSetFacts& facts, const Hdf5Chunks& chunks = {}) {
  const auto set = Of(facts);
  if (!set.ok()) return set.status().ToString();
  const auto element = set->Element();
  if (!element.ok()) return element.status().ToString();
  const auto elements = Hdf5Elements::Of(*set, chunks);
  if (!elements.ok()) return elements.status().ToString();
  const auto all = elements->All();
  return all.ok() ? *all : all.status().ToString();
}

TEST(Hdf5FileTest, ElementsComeFromOnePieceFromHeadersAndFromChunks) {
  EXPECT_EQ(Read(Numbers()), "abcdefghijkl");
  Hdf5DataSetFacts inside = Numbers();
  inside.set_layout(Hdf5DataSetFacts::INSIDE);
  inside.set_inside("ABCDEFGHIJKL");
  EXPECT_EQ(Read(inside), "ABCDEFGHIJKL");
  EXPECT_EQ(Read(InChunks(), Chunks()), "abcdefghijkl");
}

TEST(Hdf5FileTest, AFileThatGivesWayToAnotherIsNoticed) {
  ASSERT_TRUE(Of(Numbers()).ok());
  const auto file = Hdf5File::Open(absl::StrCat(testing::TempDir(), "/facts.h5"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->CheckUnchanged().ok());
  ASSERT_TRUE(Of(Numbers()).ok());  // Writes the file anew.
  EXPECT_EQ(file->CheckUnchanged().code(), absl::StatusCode::kUnavailable);
}

TEST(Hdf5FileTest, FactsThatDoNotFitAreErrors) {
  const struct {
    void (*change)(Hdf5DataSetFacts&);
    const char* error;
  } cases[] = {
      {[](auto& f) { f.set_error_code(15); }, "DATA_LOSS"},
      {[](auto& f) { f.set_error_code(-1); }, "DATA_LOSS"},
      {[](auto& f) { f.set_error_code(3); }, "INVALID_ARGUMENT"},
      {[](auto& f) { f.set_any_length(true); }, "texts of any length"},
      {[](auto& f) { f.set_element_bytes(0); }, "DATA_LOSS"},
      {[](auto& f) { f.set_element_bytes(UINT64_MAX); }, "RESOURCE_EXHAUSTED"},
      {[](auto& f) { f.clear_member(); }, "the element type"},
      {[](auto& f) { f.set_element_bytes(4), f.set_stored_bytes(24); }, "the element type"},
      {[](auto& f) { f.mutable_member(0)->set_bytes(1); }, "a column's type"},
      {[](auto& f) { f.mutable_member(0)->set_bytes(UINT64_MAX); }, "a column's type"},
      {[](auto& f) { f.mutable_member(0)->set_offset(1); }, "a column's place"},
      {[](auto& f) { f.mutable_member(0)->set_offset(UINT64_MAX); }, "a column's place"},
      {[](auto& f) { f.mutable_member(0)->set_number(HDF5_OTHER); }, "a type that is not read"},
      {[](auto& f) { f.mutable_member(0)->set_number(static_cast<Hdf5Number>(99)); },
       "a type that is not read"},
      {[](auto& f) { f.set_compound(true); }, "its elements have members"},
      {[](auto& f) { f.clear_dim(); }, "0 axes"},
      {[](auto& f) { f.set_dim(0, 0); }, "no rows"},
      {[](auto& f) { f.set_dim(1, 0); }, "no rows"},
      {[](auto& f) { f.set_dim(0, UINT64_MAX); }, "RESOURCE_EXHAUSTED"},
      {[](auto& f) { f.set_dim(1, UINT64_MAX); }, "RESOURCE_EXHAUSTED"},
      {[](auto& f) { f.set_dim(1, 4); }, "does not hold them"},
      {[](auto& f) { f.set_stored_bytes(0); }, "its 2 rows were never written"},
      {[](auto& f) { f.set_layout(Hdf5DataSetFacts::ELSEWHERE); }, "in other files"},
      {[](auto& f) { f.set_layout(static_cast<Hdf5DataSetFacts::Layout>(9)); }, "in other files"},
      {[](auto& f) { f.set_layout(Hdf5DataSetFacts::INSIDE); }, "the elements"},
      {[](auto& f) { f.set_address(3); }, "the elements"},
      {[](auto& f) { f.set_address(UINT64_MAX); }, "the elements"},
      {[](auto& f) { f.add_filter()->set_id(32000); }, "HDF5 filter 32000"},
      {[](auto& f) {
         for (int i = 0; i < 33; ++i) f.add_filter()->set_id(2);
       },
       "the filters"},
  };
  for (const auto& c : cases) {
    Hdf5DataSetFacts facts = Numbers();
    c.change(facts);
    EXPECT_THAT(Read(facts), HasSubstr(c.error)) << facts.ShortDebugString();
  }
}

TEST(Hdf5FileTest, ChunksThatDoNotFitAreErrors) {
  const struct {
    void (*change)(Hdf5DataSetFacts&);
    const char* error;
  } cases[] = {
      {[](auto& f) { f.clear_chunk_dim(); }, "the chunks"},
      {[](auto& f) { f.set_chunk_dim(0, 0); }, "the chunks"},
      {[](auto& f) { f.set_chunk_dim(0, UINT64_MAX); }, "elements along a chunk"},
      {[](auto& f) { f.set_chunk_dim(1, 3); }, "the chunks"},  // Two of them.
      {[](auto& f) { f.set_stored_bytes(17); }, "the chunks"},
      {[](auto& f) { f.add_filter()->set_id(1); }, "a compressed chunk"},
      {[](auto& f) { f.add_filter()->set_id(3); }, "a chunk's checksum"},
  };
  for (const auto& c : cases) {
    Hdf5DataSetFacts facts = InChunks();
    c.change(facts);
    EXPECT_THAT(Read(facts, Chunks()), HasSubstr(c.error)) << facts.ShortDebugString();
  }
  EXPECT_THAT(Read(InChunks(), Chunks({4, 4, 4})), HasSubstr("the chunks"));
  EXPECT_THAT(Read(InChunks(), Chunks({4, 4, 4, 5})), HasSubstr("the chunks"));
  EXPECT_THAT(Read(InChunks(), Chunks({UINT64_MAX, 1, 1, 1})), HasSubstr("the chunks"));
  EXPECT_THAT(Read(InChunks(), Chunks({3, 5, 4, 4})), HasSubstr("a chunk's size"));
  EXPECT_THAT(Read(InChunks()), HasSubstr("the chunks"));
}

TEST(Hdf5FileTest, ColumnsAreFoundByNameAndChecked) {
  Hdf5DataSetFacts facts = Numbers();
  facts.set_compound(true);
  facts.clear_dim();
  facts.add_dim(6);
  facts.mutable_member(0)->set_name("a");
  Hdf5MemberFacts& text = *facts.add_member();
  text.set_name("b");
  text.set_number(HDF5_TEXT);
  text.set_bytes(3);
  const auto set = Of(facts);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_TRUE(set->is_table());
  EXPECT_THAT(set->ColumnNames(), ElementsAre("a", "b"));
  EXPECT_EQ(set->Column("a")->LoadDouble("\x01\x02"), 0x0201);
  EXPECT_THAT(set->Column("b").status().ToString(), HasSubstr("a column's place"));
  EXPECT_THAT(set->Column("c").status().ToString(), HasSubstr("no column 'c'"));
}

}  // namespace
}  // namespace mase
