// OpenMP's threads, made of std::thread: what every program links in the place of libgomp's under
// --config=tsan (.bazelrc).
//
// ThreadSanitizer does not see libgomp's own synchronization (futexes in a library that is not
// instrumented), so every parallel loop looks like a race there. Here a region's threads are
// started and joined, its barrier and its loops' counters are atomics, and all of it is compiled
// with the sanitizer: what it reports is a race of ours. oneDNN's regions come here, too, as
// symbols of the program go before those of libraries.
//
// Has the part of the ABI of GCC 12 that our code and Debian's libdnnl call
// (`nm -u`, https://gcc.gnu.org/onlinedocs/gcc-12.2.0/libgomp/The-libgomp-ABI.html): static and
// dynamic loops, regions with `if` and `num_threads`, barriers. Regions in regions have one thread,
// as OpenMP's default is. A region has as many threads as it asks for, or as
// omp_set_num_threads or OMP_NUM_THREADS say.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Wide = unsigned long long;  // NOLINT(google-runtime-int): the ABI's.

// A loop that threads take chunks of as they come: positions 0, 1, ... count - 1, in the order of
// the loop.
struct SharedLoop {
  std::atomic<Wide> next = 0;
  Wide count, chunk;
  Wide start, step;  // Of the loop's variable; a step may be negative, modulo 2^64.
};

// How many steps lead over a distance.
Wide Steps(Wide distance, Wide step) { return distance / step + (distance % step != 0 ? 1 : 0); }

std::unique_ptr<SharedLoop> LoopOf(bool up, bool empty, Wide start, Wide end, Wide step,
                                   Wide chunk) {
  const Wide count = empty ? 0 : up ? Steps(end - start, step) : Steps(start - end, -step);
  return std::unique_ptr<SharedLoop>(new SharedLoop{0, count, chunk, start, step});
}

struct Team {
  explicit Team(int size) : threads(size), barrier(size) {}

  const int threads;
  std::barrier<> barrier;
  std::mutex mutex;  // Of `begun`: a thread may be a loop ahead of another.
  std::vector<std::unique_ptr<SharedLoop>> begun;
};

struct Place {
  Team* team = nullptr;  // Null outside of regions.
  int thread = 0;
  size_t loops = 0;  // That this thread has begun in the region.
  SharedLoop* loop = nullptr;
};

thread_local Place place;

int DefaultThreads() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int threads = wanted == nullptr ? 0 : std::atoi(wanted);
  return threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

thread_local int max_threads = DefaultThreads();

// Positions of the next chunk of the loop that the thread is in, as values of its variable.
bool TakeChunk(Wide* begin, Wide* end) {
  SharedLoop& loop = *place.loop;
  const Wide from = loop.next.fetch_add(loop.chunk);
  if (from >= loop.count) return false;
  const Wide to = std::min(from + loop.chunk, loop.count);
  *begin = loop.start + from * loop.step;
  *end = loop.start + to * loop.step;
  return true;
}

// Goes into the next loop of the region, which the first thread that comes to it makes.
template <typename Make>
bool BeginLoop(const Make& make, Wide* begin, Wide* end) {
  Team& team = *place.team;
  {
    const std::lock_guard lock(team.mutex);
    if (place.loops == team.begun.size()) team.begun.push_back(make());
    place.loop = team.begun[place.loops++].get();
  }
  return TakeChunk(begin, end);
}

// Runs a region, whose threads are in `loop` from the beginning if there is one.
void Run(void (*body)(void*), void* data, unsigned threads, std::unique_ptr<SharedLoop> loop) {
  const Place outside = place;
  const int wanted = threads > 0 ? static_cast<int>(threads) : max_threads;
  Team team(outside.team != nullptr ? 1 : std::max(1, wanted));
  const Place first = {&team, 0, loop != nullptr ? size_t{1} : 0, loop.get()};
  if (loop != nullptr) team.begun.push_back(std::move(loop));
  std::vector<std::thread> others;
  for (int thread = 1; thread < team.threads; ++thread) {
    others.emplace_back([&first, thread, body, data] {
      place = first;
      place.thread = thread;
      body(data);
    });
  }
  place = first;
  body(data);
  for (std::thread& other : others) other.join();
  place = outside;
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned /*flags*/) {
  Run(body, data, threads, nullptr);
}

void GOMP_barrier() {
  if (place.team != nullptr) place.team->barrier.arrive_and_wait();
}

// NOLINTBEGIN(google-runtime-int): the ABI's types.
void GOMP_parallel_loop_nonmonotonic_dynamic(void (*body)(void*), void* data, unsigned threads,
                                             long start, long end, long step, long chunk,
                                             unsigned /*flags*/) {
  const bool up = step > 0;
  Run(body, data, threads, LoopOf(up, up ? start >= end : start <= end, start, end, step, chunk));
}

bool GOMP_loop_nonmonotonic_dynamic_start(long start, long end, long step, long chunk, long* begin,
                                          long* finish) {
  const bool up = step > 0;
  const auto make = [&] {
    return LoopOf(up, up ? start >= end : start <= end, start, end, step, chunk);
  };
  return BeginLoop(make, reinterpret_cast<Wide*>(begin), reinterpret_cast<Wide*>(finish));
}

bool GOMP_loop_nonmonotonic_dynamic_next(long* begin, long* end) {
  return TakeChunk(reinterpret_cast<Wide*>(begin), reinterpret_cast<Wide*>(end));
}
// NOLINTEND(google-runtime-int)

bool GOMP_loop_ull_nonmonotonic_dynamic_start(bool up, Wide start, Wide end, Wide step, Wide chunk,
                                              Wide* begin, Wide* finish) {
  const auto make = [&] {
    return LoopOf(up, up ? start >= end : start <= end, start, end, step, chunk);
  };
  return BeginLoop(make, begin, finish);
}

bool GOMP_loop_ull_nonmonotonic_dynamic_next(Wide* begin, Wide* end) {
  return TakeChunk(begin, end);
}

void GOMP_loop_end() { GOMP_barrier(); }
void GOMP_loop_end_nowait() {}

int omp_get_max_threads() { return max_threads; }
int omp_get_num_threads() { return place.team != nullptr ? place.team->threads : 1; }
int omp_get_thread_num() { return place.thread; }
int omp_in_parallel() { return place.team != nullptr && place.team->threads > 1 ? 1 : 0; }
void omp_set_num_threads(int threads) { max_threads = std::max(1, threads); }

}  // extern "C"
