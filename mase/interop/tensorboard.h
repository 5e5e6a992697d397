// TensorBoard event files: scalars by tag and step, drawn as curves.
//
// A file is a sequence of records in TFRecord framing, each a serialized Event:
//
//   uint64 length | uint32 masked CRC32C of it | the event | uint32 masked CRC32C of the event
//
// all little-endian.
#ifndef MASE_INTEROP_TENSORBOARD_H_
#define MASE_INTEROP_TENSORBOARD_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/event.pb.h"

namespace mase {

// A name that TensorBoard recognizes as an event file of this moment:
// "events.out.tfevents.<seconds>.<host>".
std::string EventFileName(double wall_time);

// The record that every file begins with.
std::string EventFileHeader(double wall_time);

// One record that holds the scalars of one step.
std::string ScalarRecord(int64_t step, double wall_time,
                         absl::Span<const std::pair<std::string, float>> scalars);

// The events of a file's bytes, the header's included. DataLoss, naming the offset, where a
// record is cut short or a checksum is wrong.
absl::StatusOr<std::vector<tensorboard::Event>> ParseEvents(absl::string_view bytes);

}  // namespace mase

#endif  // MASE_INTEROP_TENSORBOARD_H_
