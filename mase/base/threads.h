// How many of OpenMP's threads a thread of ours uses.
#ifndef MASE_BASE_THREADS_H_
#define MASE_BASE_THREADS_H_

namespace mase {

// Loops that this thread starts use at most limits::kMaxThreads threads from here on. How many
// OMP_NUM_THREADS wanted, if that was more; else 0.
int BoundThreads();

// While it lives, parallel loops that this thread starts use a `parts`-th of the threads that they
// would, at least one. For tasks that run side by side; what they compute is the same for any
// number.
class ThreadShare {
 public:
  explicit ThreadShare(int parts);
  ~ThreadShare();
  ThreadShare(const ThreadShare&) = delete;
  ThreadShare& operator=(const ThreadShare&) = delete;

 private:
  const int saved_;
};

}  // namespace mase

#endif  // MASE_BASE_THREADS_H_
