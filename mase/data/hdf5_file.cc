#include "mase/data/hdf5_file.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/hdf5_filters.h"

namespace mase {
namespace {

absl::Status Beyond(absl::string_view label, absl::string_view what, uint64_t size, int64_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat(label, ": ", what, " ", size, ", more than the limit of ", limit));
}

}  // namespace

Hdf5DataSet::Hdf5DataSet(const std::string& path, std::shared_ptr<const InputFile> file,
                         Hdf5DataSetFacts facts)
    : path_(path),
      label_(absl::StrCat(path, ": data set ", Quoted(facts.name()))),
      file_(std::move(file)),
      facts_(std::move(facts)) {}

absl::StatusOr<Hdf5DataSet> Hdf5DataSet::Of(const std::string& path,
                                            std::shared_ptr<const InputFile> file,
                                            Hdf5DataSetFacts facts) {
  Hdf5DataSet set(path, std::move(file), std::move(facts));
  const std::string error = Printable(Shortened(set.facts_.error(), limits::kMaxQuotedBytes));
  switch (static_cast<absl::StatusCode>(set.facts_.error_code())) {
    case absl::StatusCode::kOk:
      break;
    case absl::StatusCode::kUnimplemented:
      return absl::UnimplementedError(absl::StrCat(set.label_, " ", error));
    case absl::StatusCode::kInvalidArgument:
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": no data set ", Quoted(set.facts_.name())));
    default:
      return DamagedHdf5(set.label_, error);
  }
  MASE_RETURN_IF_ERROR(set.CheckType());
  MASE_RETURN_IF_ERROR(set.CheckExtent());
  MASE_RETURN_IF_ERROR(set.CheckStorage());
  return set;
}

absl::Status Hdf5DataSet::CheckType() const {
  // What has any length lies elsewhere in the file.
  if (facts_.any_length()) {
    return absl::UnimplementedError(
        absl::StrCat(label_,
                     ": texts of any length, lists or references; store texts of fixed "
                     "length (h5py: dtype='S20') or numbers"));
  }
  constexpr int64_t kMaxElementBytes = limits::kMaxDataColumns * 8;
  if (facts_.element_bytes() > static_cast<uint64_t>(kMaxElementBytes)) {
    return Beyond(label_, "bytes of a row", facts_.element_bytes(), kMaxElementBytes);
  }
  if (facts_.element_bytes() == 0 || facts_.member_size() > limits::kMaxDataColumns ||
      (!facts_.compound() && facts_.member_size() != 1)) {
    return DamagedHdf5(label_, "the element type");
  }
  return absl::OkStatus();
}

absl::Status Hdf5DataSet::CheckExtent() {
  const int rank = facts_.dim_size();
  if (rank < 1 || rank > limits::kMaxTensorRank) {
    return absl::InvalidArgumentError(absl::StrCat(label_, ": a data set of ", rank,
                                                   " axes, want 1 to ", limits::kMaxTensorRank));
  }
  if (facts_.dim(0) > static_cast<uint64_t>(limits::kMaxDataRows)) {
    return Beyond(label_, "rows", facts_.dim(0), limits::kMaxDataRows);
  }
  uint64_t width = 1;  // Elements of a row.
  for (int axis = 0; axis < rank; ++axis) {
    const uint64_t extent = facts_.dim(axis);
    if (axis > 0 && (extent > static_cast<uint64_t>(limits::kMaxTensorElements) ||
                     (width *= extent) > static_cast<uint64_t>(limits::kMaxTensorElements))) {
      return Beyond(label_, "elements of a row, at least", extent, limits::kMaxTensorElements);
    }
    shape_.push_back(static_cast<int64_t>(extent));
  }
  if (facts_.dim(0) == 0 || width == 0) {
    return absl::InvalidArgumentError(absl::StrCat(label_, ": no rows"));
  }
  row_bytes_ = facts_.element_bytes() * width;
  return absl::OkStatus();
}

absl::Status Hdf5DataSet::CheckStorage() const {
  if (facts_.layout() == Hdf5DataSetFacts::ELSEWHERE ||
      !Hdf5DataSetFacts::Layout_IsValid(facts_.layout())) {
    return absl::UnimplementedError(absl::StrCat(label_, ": data that lie in other files"));
  }
  const bool chunked = facts_.layout() == Hdf5DataSetFacts::CHUNKED;
  if (chunked) {
    if (facts_.chunk_dim_size() != facts_.dim_size()) return DamagedHdf5(label_, "the chunks");
    uint64_t most = limits::kMaxHdf5ChunkBytes / facts_.element_bytes();
    for (const uint64_t extent : facts_.chunk_dim()) {
      if (extent == 0) return DamagedHdf5(label_, "the chunks");
      if (extent > most) {
        return Beyond(label_, "elements along a chunk", extent, static_cast<int64_t>(most));
      }
      most /= extent;
    }
  }
  constexpr int kMostFilters = 32;  // Of the file format.
  if (facts_.filter_size() > kMostFilters) return DamagedHdf5(label_, "the filters");
  for (const Hdf5DataSetFacts::Filter& filter : facts_.filter()) {
    if (!IsHdf5Filter(filter.id())) {
      return absl::UnimplementedError(absl::StrCat(label_, ": HDF5 filter ", filter.id(), " (",
                                                   Printable(filter.name()),
                                                   "); read are gzip, shuffle and fletcher32"));
    }
  }
  if (facts_.stored_bytes() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(label_, ": its ", rows(), " rows were never written"));
  }
  // A small file that declares a huge table lies.
  const double most = static_cast<double>(facts_.stored_bytes()) *
                      (chunked && facts_.filter_size() > 0 ? kMaxDeflateRatio : 1);
  const double bytes = static_cast<double>(rows()) * static_cast<double>(row_bytes_);
  if (bytes > most) {
    return DamagedHdf5(label_,
                       absl::StrCat("it declares ", rows(), " rows but does not hold them"));
  }
  if (bytes > static_cast<double>(limits::kMaxUnpackedBytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(label_, ": ", rows(), " rows of ", row_bytes_,
                                                     " bytes are more than the ",
                                                     limits::kMaxUnpackedBytes, " bytes allowed"));
  }
  return absl::OkStatus();
}

std::vector<std::string> Hdf5DataSet::ColumnNames() const {
  std::vector<std::string> names;
  for (const Hdf5MemberFacts& member : facts_.member()) names.push_back(member.name());
  return names;
}

absl::StatusOr<Hdf5Member> Hdf5DataSet::Checked(const Hdf5MemberFacts& member) const {
  if (member.number() == HDF5_OTHER || !Hdf5Number_IsValid(member.number())) {
    return absl::UnimplementedError(
        "of a type that is not read; integers of 8 to 64 bits, float16 to float64 and texts of "
        "fixed length (h5py: dtype='S20') are");
  }
  const size_t bytes = Hdf5NumberBytes(member.number());
  if (bytes != 0 ? member.bytes() != bytes : member.bytes() == 0) {
    return DamagedHdf5(label_, "a column's type");
  }
  if (member.bytes() > facts_.element_bytes() ||
      member.offset() > facts_.element_bytes() - member.bytes()) {
    return DamagedHdf5(label_, "a column's place");
  }
  return Hdf5Member{member.offset(), member.number(), member.big_endian(), member.bytes()};
}

absl::StatusOr<Hdf5Member> Hdf5DataSet::Element() const {
  if (facts_.compound()) {
    return absl::UnimplementedError(
        absl::StrCat(label_, ": its elements have members, want numbers or texts"));
  }
  absl::StatusOr<Hdf5Member> element = Checked(facts_.member(0));
  if (absl::IsUnimplemented(element.status())) return Annotate(element.status(), label_);
  if (element.ok() && element->bytes != facts_.element_bytes()) {
    return DamagedHdf5(label_, "the element type");
  }
  return element;
}

absl::StatusOr<Hdf5Member> Hdf5DataSet::Column(int index) const {
  const Hdf5MemberFacts& facts = facts_.member(index);
  absl::StatusOr<Hdf5Member> member = Checked(facts);
  if (absl::IsUnimplemented(member.status())) {
    return Annotate(member.status(), absl::StrCat(label_, ": column ", Quoted(facts.name())));
  }
  return member;
}

absl::StatusOr<Hdf5Member> Hdf5DataSet::Column(const std::string& name) const {
  const std::vector<std::string> names = ColumnNames();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return Column(static_cast<int>(found - names.begin()));
  return absl::InvalidArgumentError(
      absl::StrCat(label_, ": no column ", Quoted(name), Suggest(name, names)));
}

absl::StatusOr<Hdf5File> Hdf5File::Open(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  return Hdf5File(path, std::make_shared<const InputFile>(std::move(file)));
}

absl::StatusOr<std::vector<std::string>> Hdf5File::Names() {
  absl::StatusOr<Hdf5Facts> facts = DescribeHdf5(path_);
  if (facts.ok()) {
    described_ = *facts;
  } else if (absl::IsDataLoss(facts.status())) {
    facts = ListHdf5(path_);  // One that makes the library crash must not hide the others.
  }
  MASE_RETURN_IF_ERROR(facts.status());
  if (facts->data_set_size() > limits::kMaxHdf5DataSets) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": more data sets than the limit of ", limits::kMaxHdf5DataSets));
  }
  std::vector<std::string> names;
  for (const Hdf5DataSetFacts& set : facts->data_set()) names.push_back(set.name());
  return names;
}

absl::StatusOr<Hdf5DataSet> Hdf5File::Find(absl::string_view name) const {
  for (const Hdf5DataSetFacts& set : described_.data_set()) {
    if (set.name() == absl::StripPrefix(name, "/")) return Hdf5DataSet::Of(path_, file_, set);
  }
  MASE_ASSIGN_OR_RETURN(Hdf5DataSetFacts facts, DescribeHdf5(path_, std::string(name)));
  return Hdf5DataSet::Of(path_, file_, std::move(facts));
}

absl::Status Hdf5File::CheckUnchanged() const {
  MASE_RETURN_IF_ERROR(file_->CheckUnchanged());
  struct stat now, then;
  const bool same = ::stat(path_.c_str(), &now) == 0 && ::fstat(file_->descriptor(), &then) == 0 &&
                    now.st_dev == then.st_dev && now.st_ino == then.st_ino;
  return same ? absl::OkStatus()
              : absl::UnavailableError(absl::StrCat(path_, ": changed while it was read"));
}

}  // namespace mase
