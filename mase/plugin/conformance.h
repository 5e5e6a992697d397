// The conformance kit: what `ch plugins check FILE.so` holds a plugin to.
//
//   pass         on every net of the zoo and 100 random graphs: what it leaves passes the verifier,
//   a
//                second run gives the same graph and the same report, unchanged means unchanged,
//                errors are statuses that say something; options survive being written and read
//   format       values are its own, rounding twice is rounding once, Decode(Encode(x)) is
//                Quantize(x), the same bits twice; zeros, subnormals, infinities and NaN do no harm
//   op           its shape rule gives what Forward writes, the gradient is that of differences, the
//                same bits twice
//   metric       the same for rows in one batch and in many, finite
//   data reader  takes no file of another form for its own, and no first bytes bring it down
//   sampler      in each kind of space that it says it can sample, points are of the space, and the
//                same for the same trials, whatever was asked before and in any order of theirs
//
// and all of them to: nothing on standard output or error, less than a minute and 1 GiB more memory
// for each check. Checks run in a process of their own, so that what crashes or hangs is a check
// that failed.
#ifndef MASE_PLUGIN_CONFORMANCE_H_
#define MASE_PLUGIN_CONFORMANCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_index.pb.h"

namespace mase {

struct ConformanceCheck {
  std::string of;       // "pass count_flops"
  std::string what;     // "100 random graphs"
  absl::Status status;  // OK: passed. Else what is wrong, with net and seed.
  double seconds = 0;
  int64_t peak_bytes = 0;  // Memory of its process.
};

// Checks all that an open plugin has. `passes` knows its passes by name. Needs a process whose
// OpenMP pool has not been used yet.
std::vector<ConformanceCheck> CheckConformance(const PluginEntry& plugin, PassSource& passes);

}  // namespace mase

#endif  // MASE_PLUGIN_CONFORMANCE_H_
