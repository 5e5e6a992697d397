// The manual of a pass: its options with types, defaults and ranges, and what the comments of its
// .proto file say. The same text is printed by `ch passes describe` and is
// docs/reference/passes.md.
#ifndef MASE_CLI_OPTION_MANUAL_H_
#define MASE_CLI_OPTION_MANUAL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor_database.h"
#include "mase/plugin/plugin_loader.h"

namespace mase {

// One option, as users write it.
struct OptionEntry {
  std::string key;       // "percentile"
  std::string type;      // "number", "mse | minmax", "list of text", "table of rules: QuantizeRule"
  std::string fallback;  // "99.99"; empty: none.
  std::string range;     // "above 0 and at most 100"; empty: any.
  std::string comment;   // Paragraphs between empty lines, each one line of text.
};

// A message of options: the pass's own, or one that an option of it holds.
struct OptionTable {
  std::string name;  // "QuantizeOptions"
  std::string comment;
  std::vector<OptionEntry> entries;
};

class OptionManual {
 public:
  // Of the bundled plugins, whose descriptors the build has collected, and of other files of
  // descriptors with comments (protoc --include_source_info --descriptor_set_out). DataLoss if one
  // is broken; errors of ReadFile.
  static absl::StatusOr<OptionManual> Create(const std::vector<std::string>& more = {});

  // The options' message and all that it holds, the outermost first; empty for a pass without
  // options. Of plugins whose descriptors are in no file there are no comments.
  std::vector<OptionTable> Describe(absl::string_view options_type) const;

 private:
  OptionManual() = default;

  std::unique_ptr<google::protobuf::SimpleDescriptorDatabase> files_;
  std::unique_ptr<google::protobuf::DescriptorPool> pool_;
};

// For a terminal of 80 columns.
std::string ManualText(const KnownPass& known, const std::vector<OptionTable>& tables);
// For docs/reference/passes.md.
std::string ManualMarkdown(const KnownPass& known, const std::vector<OptionTable>& tables);

}  // namespace mase

#endif  // MASE_CLI_OPTION_MANUAL_H_
