#include "mase/base/memory_budget.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

constexpr int64_t kLeastLimit = 1'000'000;

struct Unit {
  absl::string_view name;
  double bytes;
};
constexpr Unit kUnits[] = {{"", 1},         {"b", 1},       {"k", 1e3},      {"kb", 1e3},
                           {"m", 1e6},      {"mb", 1e6},    {"g", 1e9},      {"gb", 1e9},
                           {"t", 1e12},     {"tb", 1e12},   {"kib", 0x1p10}, {"mib", 0x1p20},
                           {"gib", 0x1p30}, {"tib", 0x1p40}};

std::atomic<int64_t> limit = 0;  // 0: not asked for yet.
std::atomic<int64_t> counted = 0;

// A small file of the system; "" where there is none.
std::string SystemFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number in a file of a control group; none ("max") is the largest.
int64_t GroupLimit(const std::string& path) {
  int64_t bytes = 0;
  const bool is_number = absl::SimpleAtoi(absl::StripAsciiWhitespace(SystemFile(path)), &bytes);
  return is_number && bytes > 0 ? bytes : std::numeric_limits<int64_t>::max();
}

// The least limit of the process's control group and those around it.
int64_t LimitOfGroups() {
  int64_t least = std::min(GroupLimit("/sys/fs/cgroup/memory.max"),
                           GroupLimit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  for (const absl::string_view line : absl::StrSplit(SystemFile("/proc/self/cgroup"), '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const bool second = parts[1].empty();  // Version 2 has no name there.
    if (!second && parts[1] != "memory") continue;
    const char* root = second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* name = second ? "memory.max" : "memory.limit_in_bytes";
    for (std::string group(parts[2]); group.size() > 1; group.resize(group.rfind('/'))) {
      least = std::min(least, GroupLimit(absl::StrCat(root, group, "/", name)));
    }
  }
  return least;
}

// Pages of the process that are in memory, in bytes.
int64_t ResidentBytes() {
  const std::vector<std::string> numbers = absl::StrSplit(SystemFile("/proc/self/statm"), ' ');
  int64_t pages = 0;
  if (numbers.size() < 2 || !absl::SimpleAtoi(numbers[1], &pages)) return 0;
  return pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

int64_t MemoryOfMachine() {
  static const int64_t bytes = [] {
    const int64_t machine = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    int64_t least = std::min(machine, LimitOfGroups());
    rlimit of_process;
    if (::getrlimit(RLIMIT_AS, &of_process) == 0 && of_process.rlim_cur != RLIM_INFINITY) {
      least = std::min(least, static_cast<int64_t>(of_process.rlim_cur));
    }
    return std::max(least, kLeastLimit);
  }();
  return bytes;
}

int64_t MemoryLimit() {
  const int64_t set = limit.load(std::memory_order_relaxed);
  return set > 0 ? set : MemoryOfMachine();
}

void SetMemoryLimit(int64_t bytes) { limit.store(bytes, std::memory_order_relaxed); }

absl::StatusOr<int64_t> ParseMemorySize(absl::string_view text) {
  const absl::string_view stripped = absl::StripAsciiWhitespace(text);
  const size_t digits = std::min(stripped.find_first_not_of("0123456789."), stripped.size());
  const std::string name =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(stripped.substr(digits)));
  double number = 0;
  if (absl::SimpleAtod(stripped.substr(0, digits), &number)) {
    for (const Unit& unit : kUnits) {
      if (unit.name != name) continue;
      const double bytes = number * unit.bytes;
      if (bytes >= static_cast<double>(kLeastLimit) && bytes < 0x1p62) {
        return static_cast<int64_t>(bytes);
      }
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      Quoted(text), " is no size of memory: want 1 MB or more, as 800MB, 1.5GB or 4GiB"));
}

std::string MemoryText(int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  for (const Unit unit : {Unit{"TB", 1e12}, Unit{"GB", 1e9}, Unit{"MB", 1e6}}) {
    if (size >= unit.bytes) return absl::StrFormat("%.3g %s", size / unit.bytes, unit.name);
  }
  return absl::StrCat(bytes, " bytes");
}

absl::Status CheckMemory(int64_t bytes, absl::string_view what) {
  if (bytes < kLeastCountedBytes) return absl::OkStatus();
  const int64_t most = MemoryLimit();
  const int64_t taken = std::max(counted.load(std::memory_order_relaxed), ResidentBytes());
  if (bytes <= most - std::min(taken, most)) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(what, " wants ", MemoryText(bytes), " of memory; ", MemoryText(taken),
                   " of the limit of ", MemoryText(most), " are taken (--max_memory)"));
}

absl::Status OutOfMemory(const std::bad_alloc& error) {
  if (dynamic_cast<const MemoryError*>(&error) != nullptr) {
    return absl::ResourceExhaustedError(error.what());
  }
  return absl::ResourceExhaustedError(absl::StrCat("out of memory: ", MemoryText(ResidentBytes()),
                                                   " are taken, and the system gives no more"));
}

void CountMemory(int64_t bytes) { counted.fetch_add(bytes, std::memory_order_relaxed); }

}  // namespace mase
