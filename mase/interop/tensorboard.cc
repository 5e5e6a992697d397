#include "mase/interop/tensorboard.h"

#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/crc32c.h"
#include "mase/base/recorded.h"

namespace mase {
namespace {

constexpr size_t kHeaderBytes = 12;  // Length and its checksum.
constexpr size_t kFooterBytes = 4;   // The event's checksum.

template <typename T>
void AppendLittleEndian(T value, std::string* out) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);  // x86 is little-endian.
  out->append(bytes, sizeof value);
}

template <typename T>
T ReadLittleEndian(absl::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string Record(const tensorboard::Event& event) {
  const std::string body = event.SerializeAsString();
  std::string record;
  record.reserve(kHeaderBytes + body.size() + kFooterBytes);
  AppendLittleEndian<uint64_t>(body.size(), &record);
  AppendLittleEndian<uint32_t>(MaskCrc32c(Crc32c(record)), &record);
  record += body;
  AppendLittleEndian<uint32_t>(MaskCrc32c(Crc32c(body)), &record);
  return record;
}

bool ChecksumMatches(absl::string_view data, absl::string_view bytes, size_t offset) {
  return MaskCrc32c(Crc32c(data)) == ReadLittleEndian<uint32_t>(bytes, offset);
}

}  // namespace

std::string EventFileName(double wall_time) {
  return absl::StrFormat("events.out.tfevents.%d.%s", static_cast<int64_t>(wall_time),
                         RecordedHost());
}

std::string EventFileHeader(double wall_time) {
  tensorboard::Event event;
  event.set_wall_time(wall_time);
  event.set_file_version("brain.Event:2");
  return Record(event);
}

std::string ScalarRecord(int64_t step, double wall_time,
                         absl::Span<const std::pair<std::string, float>> scalars) {
  tensorboard::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  for (const auto& [tag, scalar] : scalars) {
    tensorboard::Summary::Value* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(scalar);
  }
  return Record(event);
}

absl::StatusOr<std::vector<tensorboard::Event>> ParseEvents(absl::string_view bytes) {
  std::vector<tensorboard::Event> events;
  for (size_t offset = 0; offset < bytes.size();) {
    const auto damaged = [offset](absl::string_view what) {
      return absl::DataLossError(absl::StrCat("event record at byte ", offset, ": ", what));
    };
    const size_t left = bytes.size() - offset;
    if (left < kHeaderBytes) return damaged("cut short");
    if (!ChecksumMatches(bytes.substr(offset, 8), bytes, offset + 8)) {
      return damaged("wrong checksum of the length");
    }
    const uint64_t length = ReadLittleEndian<uint64_t>(bytes, offset);
    if (left - kHeaderBytes < kFooterBytes || length > left - kHeaderBytes - kFooterBytes) {
      return damaged("cut short");
    }
    const absl::string_view body = bytes.substr(offset + kHeaderBytes, length);
    offset += kHeaderBytes + length;
    if (!ChecksumMatches(body, bytes, offset)) return damaged("wrong checksum");
    offset += kFooterBytes;
    if (!events.emplace_back().ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return damaged("not an event");
    }
  }
  return events;
}

}  // namespace mase
