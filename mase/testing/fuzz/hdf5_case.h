// An HDF5 file and what libhdf5 says of it, as one text: facts as text proto, a zero, facts of its
// chunks, a zero, and the bytes of the file, or the chunks.
#ifndef MASE_TESTING_FUZZ_HDF5_CASE_H_
#define MASE_TESTING_FUZZ_HDF5_CASE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "proto/hdf5.pb.h"

namespace mase {

struct Hdf5Case {
  Hdf5Facts facts;
  Hdf5ChunkFacts chunks;
  std::string bytes;
};

std::string Hdf5CaseText(const Hdf5Case& hdf5);

// Facts that are no text proto are none.
Hdf5Case ParseHdf5Case(absl::string_view text);

}  // namespace mase

#endif  // MASE_TESTING_FUZZ_HDF5_CASE_H_
