#include "mase/data/dataset.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

constexpr size_t kMaxBalanceBytes = 60;  // What fits in a line of the terminal.

// What Dataset::Get promises. Everything that a data set hands out passes here, so that a
// consumer may index with labels unchecked.
absl::Status CheckSplit(const DatasetInfo& info, Split split, const SplitData& data) {
  Shape want = data.features.shape();
  if (want.rank() == 0 || want[0] == 0) return absl::InvalidArgumentError("the split is empty");
  want = Shape({data.rows()});
  for (int64_t extent : info.sample_shape.dims()) want.push_back(extent);
  if (data.features.shape() != want) {
    return absl::InternalError(
        absl::StrCat("features ", data.features.shape().ToString(), ", want ", want.ToString()));
  }
  const bool labelled = data.labels.elements() > 0 || split != Split::kPred;
  if (labelled && data.labels.shape() != Shape({data.rows()})) {
    return absl::InternalError(
        absl::StrCat(data.rows(), " rows, labels ", data.labels.shape().ToString()));
  }
  if (!labelled) return absl::OkStatus();
  const int64_t classes = info.class_names.size();
  for (const int64_t& label : data.labels.data<int64_t>()) {
    if (label >= 0 && label < classes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("row ", &label - data.labels.data<int64_t>().data(), ": class ", label,
                     " of a set with ", classes, " classes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
    case Split::kPred:
      return "pred";
  }
  return "";
}

void Notes::Add(Note note) {
  absl::MutexLock lock(&mutex_);
  notes_.push_back(std::move(note));
}

std::vector<Notes::Note> Notes::Take() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(notes_, {});
}

// One split: what loads it, then what that gave.
class Dataset::Lazy {
 public:
  explicit Lazy(Loader loader) : loader_(std::move(loader)) {}

  absl::StatusOr<SplitData> Get(const DatasetInfo& info, Split split) {
    absl::MutexLock lock(&mutex_);
    if (!data_.has_value()) {
      data_ = loader_();
      loader_ = nullptr;  // Frees what it holds on to.
      if (data_->ok()) {
        const absl::Status valid = CheckSplit(info, split, **data_);
        if (!valid.ok()) {
          data_ = absl::Status(valid.code(),
                               absl::StrCat("data set ", info.name, ", ", SplitName(split),
                                            " split: ", valid.message()));
        } else if ((*data_)->row_ids.elements() == 0) {
          (*data_)->row_ids = RowIds((*data_)->features, (*data_)->labels);
        }
      }
    }
    return *data_;
  }

 private:
  absl::Mutex mutex_;
  Loader loader_;
  std::optional<absl::StatusOr<SplitData>> data_;
};

std::vector<Split> Dataset::splits() const {
  std::vector<Split> present;
  for (const auto& [split, lazy] : splits_) present.push_back(split);
  return present;
}

absl::StatusOr<SplitData> Dataset::Get(Split split) const {
  const auto found = splits_.find(split);
  if (found != splits_.end()) return found->second->Get(info_, split);
  const auto append_name = [](std::string* out, Split s) { absl::StrAppend(out, SplitName(s)); };
  return absl::NotFoundError(
      absl::StrCat("data set ", name(), " has no ", SplitName(split),
                   " split; it has: ", absl::StrJoin(splits(), ", ", append_name)));
}

absl::StatusOr<std::string> Dataset::Caption(Split split) const {
  MASE_ASSIGN_OR_RETURN(const SplitData data, Get(split));
  return absl::StrCat(WithCommas(data.rows()), " ", info_.kind, ", ", SplitName(split), " split");
}

void Dataset::Set(Split split, Loader loader) {
  splits_[split] = std::make_shared<Lazy>(std::move(loader));
}

void Dataset::SetAlias(Split split, Split source, std::string origin) {
  const std::shared_ptr<Lazy> lazy = splits_.at(source);
  Set(split,
      [lazy, info = info_, source, origin = std::move(origin)]() -> absl::StatusOr<SplitData> {
        MASE_ASSIGN_OR_RETURN(SplitData data, lazy->Get(info, source));
        data.origin = origin;
        return data;
      });
}

std::string ClassBalance(const SplitData& data, absl::Span<const std::string> class_names) {
  std::vector<int64_t> counts(class_names.size());
  for (const int64_t label : data.labels.data<int64_t>()) ++counts[label];
  std::string each;
  for (size_t i = 0; i < counts.size() && each.size() <= kMaxBalanceBytes; ++i) {
    absl::StrAppend(&each, i == 0 ? "" : ", ", class_names[i], " ", WithCommas(counts[i]));
  }
  if (each.size() <= kMaxBalanceBytes) return each;
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return absl::StrCat(counts.size(), " classes of ", WithCommas(*least), " ('",
                      class_names[least - counts.begin()], "') to ", WithCommas(*most), " ('",
                      class_names[most - counts.begin()], "') rows");
}

std::string WithCommas(int64_t number) {
  std::string digits = absl::StrCat(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    digits.insert(at, 1, ',');
  }
  return digits;
}

}  // namespace mase
