// The options of a pass that come from elsewhere than a settings file: a program, a test, a pass
// that needs another.
#ifndef MASE_CONFIG_COMPLETE_H_
#define MASE_CONFIG_COMPLETE_H_

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace mase {

// Gives every unset field its default_value (proto/options.proto), as reading a settings file does,
// and checks all values against their annotations: ranges of numbers, allowed strings, numbers that
// are none of an enum's. What has passed needs no check of these things and no default by hand:
//
//   optional double percentile = 2 [(mase.setting) = { default_value: "99.99" above: 0 max: 100 }];
//
// InvalidArgument with the field's path and value: "percentile: 101 is out of range, want above 0
// and at most 100", "rules.config.gradient: 7 is none of ..."; with the field's name where its
// default_value is no value of it. References to sub-messages of `message` do not hold afterwards.
absl::Status CompleteMessage(google::protobuf::Message& message);

}  // namespace mase

#endif  // MASE_CONFIG_COMPLETE_H_
