// absl::Mutex for --config=tsan: Debian's is not compiled with the sanitizer, which so sees no
// order between those who hold one after another. Here each taking and leaving is told it; the rest
// is Abseil's. Symbols of the program go before those of libraries. Has what our code calls: Lock
// and Unlock.
#ifdef MASE_THREAD_SANITIZER
#include <dlfcn.h>

#include <string>

#include "absl/base/options.h"
#include "absl/synchronization/mutex.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

using Function = void (*)(absl::Mutex*);

#define TEXT_OF(name) #name
#define EXPANDED_TEXT_OF(name) TEXT_OF(name)

// Member functions as the C++ ABI names them, in the inline namespace of this Abseil.
Function OfAbseil(const std::string& member) {
  const std::string space = EXPANDED_TEXT_OF(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string symbol = "_ZN4absl" + std::to_string(space.size()) + space + "5Mutex" + member;
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, symbol.c_str()));
}

}  // namespace

void absl::Mutex::Lock() {
  static const Function lock = OfAbseil("4LockEv");
  lock(this);
  __tsan_acquire(this);
}

void absl::Mutex::Unlock() {
  static const Function unlock = OfAbseil("6UnlockEv");
  __tsan_release(this);
  unlock(this);
}
#endif
