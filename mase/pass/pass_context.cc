#include "mase/pass/pass_context.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mase {

void PassContext::Count(absl::string_view counter, double amount) {
  record_.counts[std::string(counter)] += amount;
}

void PassContext::Note(const Node& node, absl::string_view decision, absl::string_view reason,
                       absl::string_view option) {
  record_.decisions.push_back({node.name(), std::string(node.mase_op()), std::string(decision),
                               std::string(reason), std::string(option)});
}

void PassContext::Warn(absl::string_view warning) { record_.warnings.emplace_back(warning); }

void PassContext::Print(absl::string_view text) {
  if (absl::EndsWith(text, "\n")) return host_.Print(text);
  host_.Print(absl::StrCat(text, "\n"));
}

absl::Status PassContext::WriteArtifact(absl::string_view path, absl::string_view contents) {
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    // An absolute path begins with an empty part.
    if (part.empty() || part == "." || part == "..") {
      return absl::InvalidArgumentError(absl::StrCat(
          "file name '", path, "': want a path inside the run directory, such as report.txt"));
    }
  }
  return host_.WriteArtifact(path, contents);
}

}  // namespace mase
