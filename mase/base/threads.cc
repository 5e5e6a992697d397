#include "mase/base/threads.h"

#include <omp.h>

#include <algorithm>

namespace mase {

ThreadShare::ThreadShare(int parts) : saved_(omp_get_max_threads()) {
  omp_set_num_threads(std::max(1, saved_ / std::max(1, parts)));
}

ThreadShare::~ThreadShare() { omp_set_num_threads(saved_); }

}  // namespace mase
