#include "mase/interop/tensorboard.h"

#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string TwoRecords() {
  return EventFileHeader(1.5) +
         ScalarRecord(49, 2.5, {{"train_loss_step", 0.75f}, {"lr-Adam", 1e-3f}});
}

TEST(TensorboardTest, WhatIsWrittenIsReadBack) {
  const auto events = ParseEvents(TwoRecords());
  ASSERT_OK(events);
  ASSERT_THAT(*events, SizeIs(2));
  EXPECT_EQ((*events)[0].file_version(), "brain.Event:2");
  const tensorboard::Event& event = (*events)[1];
  EXPECT_EQ(event.step(), 49);
  EXPECT_EQ(event.wall_time(), 2.5);
  ASSERT_EQ(event.summary().value_size(), 2);
  EXPECT_EQ(event.summary().value(0).tag(), "train_loss_step");
  EXPECT_EQ(event.summary().value(0).simple_value(), 0.75f);
  EXPECT_EQ(event.summary().value(1).tag(), "lr-Adam");
  EXPECT_EQ(event.summary().value(1).simple_value(), 1e-3f);
}

// What TensorBoard's own RecordWriter (tensorboard 2.21) makes of the same two events.
constexpr char kTensorboardBytes[] =
    "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22\x09\x00\x00\x00\x00\x00\x00\xf8"
    "\x3f\x1a\x0d\x62\x72\x61\x69\x6e\x2e\x45\x76\x65\x6e\x74\x3a\x32\x2a\x28\x64\x6c"
    "\x25\x00\x00\x00\x00\x00\x00\x00\xea\xbc\x36\xf3\x09\x00\x00\x00\x00\x00\x00\x04"
    "\x40\x10\x31\x2a\x18\x0a\x16\x0a\x0f\x74\x72\x61\x69\x6e\x5f\x6c\x6f\x73\x73\x5f"
    "\x73\x74\x65\x70\x15\x00\x00\x40\x3f\xdb\x84\x78\x52";

TEST(TensorboardTest, TheBytesAreThoseOfTensorboard) {
  const std::string theirs(kTensorboardBytes, sizeof kTensorboardBytes - 1);
  EXPECT_EQ(EventFileHeader(1.5) + ScalarRecord(49, 2.5, {{"train_loss_step", 0.75f}}), theirs);
}

TEST(TensorboardTest, FileNamesAreTheOnesThatTensorboardLooksFor) {
  EXPECT_THAT(EventFileName(1700000000.75), StartsWith("events.out.tfevents.1700000000."));
}

TEST(TensorboardTest, AnEmptyFileHoldsNothing) { EXPECT_THAT(*ParseEvents(""), SizeIs(0)); }

TEST(TensorboardTest, EveryCutInsideARecordIsDataLoss) {
  const std::string bytes = TwoRecords();
  const size_t header = EventFileHeader(1.5).size();
  for (size_t size = 1; size < bytes.size(); ++size) {
    if (size == header) continue;
    EXPECT_THAT(ParseEvents(bytes.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")))
        << size;
  }
}

TEST(TensorboardTest, EveryChangedByteIsDataLoss) {
  for (size_t i = 0; i < TwoRecords().size(); ++i) {
    std::string bytes = TwoRecords();
    bytes[i] ^= 0x10;
    EXPECT_THAT(ParseEvents(bytes), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
}

}  // namespace
}  // namespace mase
