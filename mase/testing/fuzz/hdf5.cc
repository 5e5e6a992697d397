// Data sets of HDF5 files, by what libhdf5 says of them, which may be anything: it is said by a
// child whose memory a file may have overwritten.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "mase/data/hdf5_file.h"
#include "mase/testing/fuzz/hdf5_case.h"
#include "mase/testing/fuzz/memory_file.h"

namespace mase {
namespace {

// Reads the columns of the first and of the last row.
void Load(const Hdf5DataSet& set, const std::vector<Hdf5Member>& members, const std::string& rows) {
  if (rows.size() < set.row_bytes()) return;
  for (const size_t row : {size_t{0}, rows.size() - set.row_bytes()}) {
    for (const Hdf5Member& member : members) {
      if (member.is_text()) {
        (void)member.LoadText(&rows[row]);
      } else {
        (void)member.Load(&rows[row]);
        (void)member.LoadDouble(&rows[row]);
      }
    }
  }
}

void Read(const Hdf5DataSet& set, const Hdf5Chunks& chunks) {
  std::vector<Hdf5Member> members;
  const int columns = static_cast<int>(set.ColumnNames().size());
  for (int i = 0; i < columns; ++i) {
    if (const auto member = set.Column(i); member.ok()) members.push_back(*member);
  }
  if (const auto element = set.Element(); element.ok()) members.push_back(*element);
  const auto elements = Hdf5Elements::Of(set, chunks);
  if (!elements.ok()) return;
  if (const auto all = elements->All(); all.ok()) {
    Load(set, members, *all);
    if (const auto element = set.Element(); element.ok()) {
      CHECK_EQ(all->size(), element->bytes * static_cast<size_t>(set.shape().elements()));
    }
  }
  if (set.shape().rank() != 1) return;
  for (const int64_t block : {int64_t{0}, elements->blocks() - 1}) {
    if (const auto rows = elements->Block(block); rows.ok()) Load(set, members, *rows);
  }
}

}  // namespace
}  // namespace mase

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mase::Hdf5Case hdf5 =
      mase::ParseHdf5Case(absl::string_view(reinterpret_cast<const char*>(data), size));
  const mase::MemoryFile file(reinterpret_cast<const uint8_t*>(hdf5.bytes.data()),
                              hdf5.bytes.size());
  const auto bytes = std::make_shared<std::string>(hdf5.bytes);
  const mase::Hdf5Chunks chunks = {std::shared_ptr<const char>(bytes, bytes->data()), bytes->size(),
                                   hdf5.chunks};
  auto opened = mase::InputFile::Open(file.path());
  CHECK(opened.ok()) << opened.status();
  const auto input = std::make_shared<const mase::InputFile>(*std::move(opened));
  for (const mase::Hdf5DataSetFacts& facts : hdf5.facts.data_set()) {
    const auto set = mase::Hdf5DataSet::Of(file.path(), input, facts);
    if (set.ok()) mase::Read(*set, chunks);
  }
  return 0;
}
