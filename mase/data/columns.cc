#include "mase/data/columns.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/foreign_data.h"

namespace mase {
namespace {

constexpr size_t kShownNames = 8;

bool IsNameless(absl::string_view name) {
  return name.empty() || absl::StartsWith(name, "Unnamed: ");
}

// The columns of one file by name, and the choice that is being made.
class Chooser {
 public:
  Chooser(absl::string_view path, const FileColumns& columns, DataTable& table)
      : path_(path), columns_(columns), table_(table) {}

  absl::StatusOr<ColumnChoice> Choose(const TableColumns& wanted) {
    MASE_RETURN_IF_ERROR(IndexNames());
    MASE_RETURN_IF_ERROR(ChooseLabel(wanted));
    MASE_RETURN_IF_ERROR(wanted.features.empty() ? TakeNumbers() : TakeNamed(wanted.features));
    for (int i = 0; i < count(); ++i) {
      const bool used = absl::c_linear_search(choice_.labels, i) || is_feature_[i];
      if (!used) table_.left_out.push_back(columns_.names[i]);
    }
    for (const int column : choice_.features) {
      table_.feature_names.push_back(columns_.names[column]);
    }
    return std::move(choice_);
  }

 private:
  int count() const { return static_cast<int>(columns_.names.size()); }

  absl::Status Error(absl::string_view problem) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", problem));
  }

  absl::Status IndexNames() {
    if (count() > limits::kMaxDataColumns) {
      return absl::ResourceExhaustedError(absl::StrCat(
          path_, ": ", count(), " columns, more than the limit of ", limits::kMaxDataColumns));
    }
    is_feature_.assign(count(), false);
    std::vector<int> nameless;
    for (int i = 0; i < count(); ++i) {
      const std::string& name = columns_.names[i];
      if (name.size() > static_cast<size_t>(limits::kMaxNameBytes)) {
        return absl::ResourceExhaustedError(absl::StrCat(path_, ": a column name of ", name.size(),
                                                         " bytes, more than the limit of ",
                                                         limits::kMaxNameBytes));
      }
      MASE_RETURN_IF_ERROR(CheckName(path_, "column", name));
      if (IsNameless(name)) {
        nameless.push_back(i + 1);
      } else if (!index_.emplace(name, i).second) {
        return Error(absl::StrCat("two columns are named '", name, "'"));
      }
    }
    if (!nameless.empty()) {
      table_.notes.push_back(absl::StrCat("no feature: column ", absl::StrJoin(nameless, ", "),
                                          ", which has no name",
                                          nameless[0] == 1 ? " (row numbers?)" : ""));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int> Find(const std::string& name) const {
    if (const auto found = index_.find(name); found != index_.end()) return found->second;
    const std::string hint = Suggest(name, columns_.names);
    return Error(absl::StrCat(
        "no column '", name, "'",
        hint.empty() ? absl::StrCat("; it has: ", ShowNames(columns_.names, kShownNames)) : hint));
  }

  absl::Status ChooseLabel(const TableColumns& wanted) {
    if (wanted.label.empty()) {
      GuessLabel(wanted);
      return absl::OkStatus();
    }
    choice_.label_choice = LabelChoice::kNamedByUser;
    std::vector<std::string> parts = {wanted.label};
    if (!index_.contains(wanted.label)) parts = absl::StrSplit(wanted.label, ',');
    for (std::string& part : parts) {
      absl::StripAsciiWhitespace(&part);
      if (wanted.label_optional && !index_.contains(part)) {
        choice_.labels.clear();
        return absl::OkStatus();
      }
      MASE_ASSIGN_OR_RETURN(const int column, Find(part));
      choice_.labels.push_back(column);
    }
    table_.label_name = wanted.label;
    return absl::OkStatus();
  }

  // The column of one of the names that class columns have, else -1.
  int KnownLabel() const {
    for (const char* known : {"class", "label", "target"}) {
      if (const auto found = index_.find(known); found != index_.end()) return found->second;
      for (int i = 0; i < count(); ++i) {
        if (absl::EqualsIgnoreCase(columns_.names[i], known)) return i;
      }
    }
    return -1;
  }

  void GuessLabel(const TableColumns& wanted) {
    int label = KnownLabel();
    const bool guess = label < 0;
    if (guess && wanted.label_optional) return;
    choice_.label_choice = guess ? LabelChoice::kLastColumn : LabelChoice::kKnownName;
    for (int i = count() - 1; i >= 0 && label < 0; --i) {
      const std::string& name = columns_.names[i];
      if (!IsNameless(name) && !absl::c_linear_search(wanted.features, name)) label = i;
    }
    if (label < 0) return;  // TakeNumbers says what is missing.
    choice_.labels = {label};
    table_.label_name = columns_.names[label];
    if (table_.label_name == "class") return;
    table_.notes.push_back(absl::StrCat("the class is column '", table_.label_name, "'",
                                        guess ? ", the last; dataset.label names another" : ""));
  }

  absl::Status TakeNumbers() {
    std::vector<std::string> texts;
    for (int i = 0; i < count(); ++i) {
      const std::string& name = columns_.names[i];
      if (IsNameless(name) || absl::c_linear_search(choice_.labels, i)) continue;
      if (i < static_cast<int>(columns_.texts.size()) && columns_.texts[i]) {
        texts.push_back(name);
      } else {
        Take(i);
      }
    }
    if (count() == 1) {
      return Error(absl::StrCat("has one column alone, '", columns_.names[0],
                                "'; want features and a class, divided by ',' ';' '|', tabs or "
                                "blanks"));
    }
    if (choice_.features.empty()) {
      return Error(texts.empty() ? "no column but the class"
                                 : absl::StrCat("no column of numbers but the class; columns of "
                                                "texts: ",
                                                ShowNames(texts, kShownNames)));
    }
    if (!texts.empty()) {
      table_.notes.push_back(absl::StrCat("no feature: ", ShowNames(texts, kShownNames), ", which ",
                                          texts.size() == 1 ? "holds texts" : "hold texts"));
    }
    return absl::OkStatus();
  }

  absl::Status TakeNamed(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      MASE_ASSIGN_OR_RETURN(const int column, Find(name));
      if (is_feature_[column]) return Error(absl::StrCat("feature '", name, "' is named twice"));
      if (absl::c_linear_search(choice_.labels, column)) {
        return Error(absl::StrCat("column '", name, "' is the class and cannot be a feature too"));
      }
      Take(column);
    }
    return absl::OkStatus();
  }

  void Take(int column) {
    choice_.features.push_back(column);
    is_feature_[column] = true;
  }

  const absl::string_view path_;
  const FileColumns& columns_;
  DataTable& table_;
  absl::flat_hash_map<std::string, int> index_;
  std::vector<bool> is_feature_;
  ColumnChoice choice_;
};

}  // namespace

std::string ShowNames(absl::Span<const std::string> names, size_t most) {
  const auto shown = [](std::string* out, absl::string_view name) {
    const std::string quoted = Quoted(name);
    out->append(quoted, 1, quoted.size() - 2);
  };
  return absl::StrCat(absl::StrJoin(names.subspan(0, most), ", ", shown),
                      most < names.size() ? ", ..." : "");
}

absl::StatusOr<ColumnChoice> ChooseColumns(absl::string_view path, const FileColumns& columns,
                                           const TableColumns& wanted, DataTable& table) {
  return Chooser(path, columns, table).Choose(wanted);
}

}  // namespace mase
