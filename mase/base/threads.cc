#include "mase/base/threads.h"

#include <omp.h>

#include <algorithm>

#include "mase/base/limits.h"

namespace mase {

int BoundThreads() {
  const int wanted = omp_get_max_threads();
  if (wanted <= limits::kMaxThreads) return 0;
  omp_set_num_threads(limits::kMaxThreads);
  return wanted;
}

// A new thread begins with what the environment says.
ThreadShare::ThreadShare(int parts) : saved_(std::min(omp_get_max_threads(), limits::kMaxThreads)) {
  omp_set_num_threads(std::max(1, saved_ / std::max(1, parts)));
}

ThreadShare::~ThreadShare() { omp_set_num_threads(saved_); }

}  // namespace mase
