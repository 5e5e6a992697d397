// Writes an input of the target "hdf5" for each data set of a file:
//
//   cd mase/testing/fuzz/corpus; make_hdf5_case hdf5_file/*.h5 hdf5
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/files.h"
#include "mase/data/hdf5_library.h"
#include "mase/testing/fuzz/hdf5_case.h"

namespace mase {
namespace {

void Make(const std::string& path, const std::string& folder) {
  const auto facts = DescribeHdf5(path);
  CHECK(facts.ok()) << facts.status();
  for (int i = 0; i < facts->data_set_size(); ++i) {
    Hdf5Case hdf5;
    *hdf5.facts.add_data_set() = facts->data_set(i);
    if (facts->data_set(i).layout() == Hdf5DataSetFacts::CHUNKED) {
      const auto chunks = ReadHdf5Chunks(path, facts->data_set(i));
      CHECK(chunks.ok()) << chunks.status();
      hdf5.chunks = chunks->facts;
      hdf5.bytes.assign(chunks->bytes.get(), chunks->size);
    } else {
      hdf5.bytes = ReadFile(path, 1 << 20).value();
    }
    const std::string text = Hdf5CaseText(hdf5);
    const absl::string_view pieces[] = {text};
    const std::string out =
        absl::StrCat(folder, "/", std::filesystem::path(path).stem().string(), "_", i);
    CHECK(WriteFileAtomically(out, pieces, Durability::kUnsynced).ok()) << out;
  }
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  CHECK_GE(argc, 3) << "make_hdf5_case FILE.h5... FOLDER";
  for (int i = 1; i + 1 < argc; ++i) mase::Make(argv[i], argv[argc - 1]);
  return 0;
}
