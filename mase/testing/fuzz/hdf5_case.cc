#include "mase/testing/fuzz/hdf5_case.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace mase {
namespace {

class Silent final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int /*line*/, int /*column*/, const std::string& /*message*/) override {}
};

// What stands before the next zero, which is taken away with it.
std::string Take(absl::string_view& text) {
  const size_t end = std::min(text.find('\0'), text.size());
  std::string taken(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

}  // namespace

std::string Hdf5CaseText(const Hdf5Case& hdf5) {
  return absl::StrCat(hdf5.facts.DebugString(), absl::string_view("\0", 1),
                      hdf5.chunks.DebugString(), absl::string_view("\0", 1), hdf5.bytes);
}

Hdf5Case ParseHdf5Case(absl::string_view text) {
  Hdf5Case hdf5;
  Silent silent;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  if (!parser.ParseFromString(Take(text), &hdf5.facts)) hdf5.facts.Clear();
  if (!parser.ParseFromString(Take(text), &hdf5.chunks)) hdf5.chunks.Clear();
  hdf5.bytes = std::string(text);
  return hdf5;
}

}  // namespace mase
