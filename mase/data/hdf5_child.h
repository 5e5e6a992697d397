// How libhdf5 is run in a child of this process, and what is always done there. For hdf5_library.h.
#ifndef MASE_DATA_HDF5_CHILD_H_
#define MASE_DATA_HDF5_CHILD_H_

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/base/in_child.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"

namespace mase {

// ---- Of this process ----

// For what can be said of a file before the library sees it. Errors as InputFile::Open;
// ResourceExhausted: it has more than limits::kMaxDataFileBytes.
absl::StatusOr<ChildLimits> ChildLimitsFor(const std::string& path, int64_t answer_bytes);

// What a child makes, or its error (DataLoss, NotFound, Unimplemented, ResourceExhausted). `label`
// is what it reads: where it crashes, DataLoss, "net.h5 is damaged: reading it crashed (SIGSEGV)".
absl::StatusOr<std::string> AskHdf5Child(const ChildLimits& limits, absl::string_view label,
                                         absl::FunctionRef<absl::StatusOr<std::string>()> function);

// The same of a message.
template <typename Message>
absl::StatusOr<Message> AskHdf5(const ChildLimits& limits, absl::string_view label,
                                absl::FunctionRef<absl::StatusOr<Message>()> function) {
  MASE_ASSIGN_OR_RETURN(const std::string text,
                        AskHdf5Child(limits, label, [&]() -> absl::StatusOr<std::string> {
                          MASE_ASSIGN_OR_RETURN(const Message made, function());
                          return made.SerializeAsString();
                        }));
  constexpr int64_t kMessageBytes = 50;  // Of memory for one of the text, where messages are empty.
  MASE_RETURN_IF_ERROR(CheckMemory(kMessageBytes * static_cast<int64_t>(text.size()), label));
  Message message;
  if (message.ParseFromString(text)) return message;
  return absl::DataLossError(absl::StrCat(label, " is damaged: reading it overwrote memory"));
}

// ---- Of a child ----

// An identifier of the library and how to give it back.
class Hdf5Handle {
 public:
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  bool ok() const { return id_ >= 0; }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// A file, open for reading without locks.
absl::StatusOr<Hdf5Handle> OpenHdf5(const std::string& path);

// Properties for opening what must not lead to other files, which might be anything that the user
// can read. `met` becomes true where it does.
Hdf5Handle WithoutLinksOut(hid_t kind, bool& met);

}  // namespace mase

#endif  // MASE_DATA_HDF5_CHILD_H_
