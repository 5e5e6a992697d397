#include "mase/run/class_lines.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mase {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kLongestName = 24;

std::string Quoted(const std::vector<std::string>& names, size_t i) {
  const std::string name = i < names.size() ? names[i] : absl::StrCat(i);
  return name.size() <= kLongestName ? absl::StrCat("'", name, "'")
                                     : absl::StrCat("'", name.substr(0, kLongestName), "...'");
}

}  // namespace

std::string ClassLines(const ClassCounts& counts, const std::vector<std::string>& names) {
  std::string lines = absl::StrFormat("largest class %s: %.3f of the rows\n",
                                      Quoted(names, counts.largest()), counts.largest_share());
  if (!counts.AccuracyMisleads()) return lines;
  std::string line = "right by class:";
  const size_t classes = counts.classes().size();
  for (size_t i = 0; i < classes; ++i) {
    const ClassCount& count = counts.classes()[i];
    const std::string more =
        absl::StrCat(i == 0 ? " " : ", ", Quoted(names, i), " ", count.correct, " of ", count.rows);
    const std::string rest = absl::StrCat(", ", classes - i, " more in summary.json");
    const bool last = i + 1 == classes;
    if (line.size() + more.size() + (last ? 0 : rest.size()) > kColumns) {
      return absl::StrCat(lines, line, rest, "\n");
    }
    absl::StrAppend(&line, more);
  }
  return absl::StrCat(lines, line, "\n");
}

void ReportClasses(const ClassCounts& counts, const std::vector<std::string>& names,
                   RunReport& report) {
  report.clear_classes();
  for (size_t i = 0; i < counts.classes().size(); ++i) {
    const ClassCount& count = counts.classes()[i];
    ClassReport* entry = report.add_classes();
    entry->set_name(i < names.size() ? names[i] : absl::StrCat(i));
    entry->set_rows(static_cast<uint32_t>(count.rows));
    entry->set_predicted(static_cast<uint32_t>(count.predicted));
    entry->set_correct(static_cast<uint32_t>(count.correct));
  }
}

}  // namespace mase
