// For programs that end without exit.
#ifndef MASE_BASE_COVERAGE_H_
#define MASE_BASE_COVERAGE_H_

// Clang's, in programs that count which of their lines run (--config=coverage); else null.
extern "C" int __llvm_profile_write_file(void) __attribute__((weak));

namespace mase {

// Writes those counts, as exit would. Nothing in other programs.
inline void WriteCoverage() {
  if (&__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
}

}  // namespace mase

#endif  // MASE_BASE_COVERAGE_H_
