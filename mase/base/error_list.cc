#include "mase/base/error_list.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace mase {

void ErrorList::Add(const absl::Status& status) {
  if (!status.ok()) errors_.push_back(status);
}

absl::Status ErrorList::Combined() const {
  if (errors_.empty()) return absl::OkStatus();
  std::string text;
  int shown = 0;
  for (const absl::Status& error : errors_) {
    if (shown == kMaxShown) {
      absl::StrAppend(&text, "\nand ", errors_.size() - kMaxShown, " more");
      break;
    }
    absl::StrAppend(&text, shown++ == 0 ? "" : "\n",
                    absl::StrReplaceAll(error.message(), {{"\n", "\\n"}, {"\r", "\\r"}}));
  }
  return absl::Status(errors_[0].code(), text);
}

}  // namespace mase
