// One plugin for many tests: what it does depends on the name of its file, so that a test makes the
// one that it needs by a copy (mase/plugin/testdata/fixtures.h) and nothing else is compiled. It is
// a good one by any other name.
#include <dlfcn.h>
#include <fcntl.h>
#include <pmmintrin.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/plugin/plugin.h"

namespace mase {
namespace {

using google::protobuf::Empty;
using Result = absl::StatusOr<PassResult>;
constexpr char kSummary[] = "Does nothing.";
constexpr int kKept = 1 << 16;                       // Of stray output: kMaxPluginOutputBytes.
constexpr uint64_t kMost = (uint64_t{1} << 31) - 1;  // Of a message: kMaxPluginMessageBytes.

// "good" of /somewhere/good.so. What is open is a copy of that file, which a link tells of:
// "/memfd:good.so (deleted)".
const std::string& Stem() {
  static const auto* const stem = new std::string([] {
    Dl_info info = {};
    static const int here = 0;
    if (dladdr(&here, &info) == 0) return std::string();
    char link[256] = {};
    const bool is_copy = readlink(info.dli_fname, link, sizeof(link) - 1) > 0;
    const std::string path = is_copy ? link : info.dli_fname;
    const std::string name = path.substr(path.find_last_of("/:") + 1);
    return name.substr(0, name.find(".so"));
  }());
  return *stem;
}
bool IsCalled(const char* name) { return Stem() == name; }
// 64 of "name_of_64"; 0 where the name begins otherwise.
int NumberBehind(const std::string& prefix) {
  return Stem().rfind(prefix, 0) == 0 ? std::atoi(Stem().c_str() + prefix.size()) : 0;
}

// A pass that is a function.
template <Result (*kRun)(Graph&, PassContext&)>
class Runs final : public Pass {
 public:
  using Options = Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<Runs>();
  }
  Result Run(Graph& graph, PassContext& context) const override { return kRun(graph, context); }
};

// ---- Passes that go wrong ----

volatile int never = 0;
// Not null, which a sanitizer would find before the processor does.
volatile uintptr_t nowhere = sizeof(int);

int Deeper(int n) {
  volatile char room[1 << 12] = {};
  return n == never ? room[0] : Deeper(n + 1) + room[n % 100];
}

Result Good(Graph& graph, PassContext& context) {
  context.Count("nodes", graph.node_count());
  return PassResult::Unchanged();
}
Result Exits(Graph&, PassContext&) { std::exit(0); }
Result ExitsAtOnce(Graph&, PassContext&) { _exit(0); }
Result Aborts(Graph& graph, PassContext& context) {
  context.Note(*graph.first(), "seen", "it comes first");
  std::abort();
}
Result Crashes(Graph&, PassContext&) {
  return *std::bit_cast<volatile int*>(uintptr_t{nowhere}) = 1, PassResult::Unchanged();
}
Result Overflows(Graph&, PassContext&) {
  return Deeper(1) == 7 ? PassResult::Changed() : PassResult::Unchanged();
}
Result Throws(Graph&, PassContext&) { throw std::runtime_error("no luck"); }
Result ThrowsNumber(Graph&, PassContext&) { throw 42; }
Result Hangs(Graph&, PassContext&) {
  while (never == 0) {
  }
  return PassResult::Unchanged();
}
Result EatsMemory(Graph&, PassContext&) {
  std::vector<std::unique_ptr<char[]>> eaten;
  for (;;) {
    eaten.emplace_back(new char[1 << 24]);
    for (int i = 0; i < 1 << 24; i += 4096) eaten.back()[i] = 1;
  }
}
// Much and often, so that what is kept of it is seen to be bounded: "xx...x", and how many bytes.
Result ShoutsFor(PassContext& context, int bytes) {
  const std::string text(static_cast<size_t>(bytes), 'x');
  for (size_t written = 0; written < text.size();) {
    const ssize_t put = write(STDOUT_FILENO, text.data() + written, text.size() - written);
    if (put <= 0) break;
    written += static_cast<size_t>(put);
  }
  context.Count("written", bytes);
  return PassResult::Unchanged();
}
template <int kBytes>
Result ShoutsBytes(Graph&, PassContext& context) {
  return ShoutsFor(context, kBytes);
}
Result CountsItsLimits(Graph&, PassContext& context) {
  rlimit time = {}, memory = {};
  if (getrlimit(RLIMIT_CPU, &time) != 0 || getrlimit(RLIMIT_AS, &memory) != 0) {
    return absl::InternalError("getrlimit");
  }
  context.Count("cpu_seconds", static_cast<int64_t>(time.rlim_cur));
  context.Count("memory_bytes", static_cast<int64_t>(memory.rlim_cur));
  return PassResult::Unchanged();
}
// A node after it is gone, whose memory somebody else has then.
Result UsesAnErasedNode(Graph& graph, PassContext& context) {
  Node* last = graph.output();
  context.Note(*last, "seen", "it comes last");
  MASE_RETURN_IF_ERROR(graph.EraseNode(last));
  std::vector<std::unique_ptr<char[]>> others;
  for (int i = 0; i < 100; ++i) {
    others.emplace_back(new char[sizeof(Node)]);
    std::fill_n(others.back().get(), sizeof(Node), 'x');
  }
  graph.ReplaceInput(last, 0, last->inputs()[0]->producer()->outputs()[0]);
  return PassResult::Changed();
}
Result Shouts(Graph&, PassContext&) {
  std::printf("stray words\n");
  std::fflush(stdout);
  return PassResult::Unchanged();
}
Result ShoutsAndCrashes(Graph& graph, PassContext& context) {
  return Shouts(graph, context).ok() ? Crashes(graph, context) : PassResult::Unchanged();
}
Result HidesAChange(Graph& graph, PassContext&) {
  graph.set_name("other");
  return PassResult::Unchanged();
}
Result ClaimsAChange(Graph&, PassContext&) { return PassResult::Changed(); }
Result MakesACircle(Graph& graph, PassContext&) {
  Node* node = Graph::next(graph.first());
  graph.ReplaceInput(node, 0, node->outputs()[0]);
  return PassResult::Changed();
}
Result ErasesTheOutput(Graph& graph, PassContext&) {
  Node* last = graph.first();
  while (Graph::next(last) != nullptr) last = Graph::next(last);
  MASE_RETURN_IF_ERROR(graph.EraseNode(last));
  return PassResult::Changed();
}
Result RoundsUp(Graph&, PassContext&) {
  std::fesetround(FE_UPWARD);
  _mm_setcsr(_mm_getcsr() | 0x8040);  // Subnormals are zero.
  return PassResult::Unchanged();
}
Result RecordsNoFormat(Graph& graph, PassContext&) {
  Node* node = Graph::next(graph.first());
  graph.SetQuantization(node, Quantization());
  return PassResult::Changed();
}
Result Renames(Graph& graph, PassContext&) {
  graph.set_name("renamed");
  return PassResult::Changed();
}
Result ReadsAFile(Graph&, PassContext& context) {
  MASE_RETURN_IF_ERROR(context.ReadText("/etc/hostname").status());
  return PassResult::Unchanged();
}
// To whom it speaks where it runs in a process of its own.
Result SendsGarbage(Graph&, PassContext&) {
  const std::string garbage(64, '\xff');
  const ssize_t sent = write(3, garbage.data(), garbage.size());
  return sent > 0 ? PassResult::Unchanged() : PassResult::Changed();
}
// Says that a message of so many bytes comes, and goes.
template <uint64_t kBytes>
Result ClaimsBytes(Graph&, PassContext&) {
  unsigned char head[8];
  for (int i = 0; i < 8; ++i) head[i] = static_cast<unsigned char>(kBytes >> 8 * i);
  if (write(3, head, sizeof head) == sizeof head) _exit(0);
  return PassResult::Unchanged();
}
// Prints so many times 400,000 letters.
template <int kTimes>
Result Talks(Graph&, PassContext& context) {
  for (int i = 0; i < kTimes; ++i) context.Print(std::string(400'000, 'y'));
  return PassResult::Unchanged();
}
// What it could do to the machine; says what it could.
Result ReachesOut(Graph&, PassContext& context) {
  const auto try_it = [&context](const char* what, bool could) {
    context.Count(what, could ? 1 : 0);
  };
  try_it("network", socket(AF_INET, SOCK_STREAM, 0) >= 0);
  const std::string file = absl::StrCat("/tmp/mase_reaches_out_", getpid());
  try_it("write", open(file.c_str(), O_WRONLY | O_CREAT, 0600) >= 0);
  try_it("read", open("/etc/passwd", O_RDONLY) >= 0);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  try_it("fork", child > 0);
  try_it("kill", kill(getppid(), 0) == 0);
  try_it("secret", std::getenv("MASE_TEST_SECRET") != nullptr);
  try_it("locale", std::getenv("LC_MASE_TEST") != nullptr);
  return PassResult::Unchanged();
}

class CreatedAsNull final : public Pass {
 public:
  using Options = Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::unique_ptr<Pass>();
  }
  Result Run(Graph&, PassContext&) const override { return PassResult::Unchanged(); }
};
class CreatedByThrowing final : public Pass {
 public:
  using Options = Empty;
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) { throw 42; }
  Result Run(Graph&, PassContext&) const override { return PassResult::Unchanged(); }
};

template <Result (*kRun)(Graph&, PassContext&)>
absl::Status Add(PassRegistrar& registrar, const char* name, PassKind kind = PassKind::kAnalysis) {
  return registrar.AddPass<Runs<kRun>>(name, kSummary, {.kind = kind});
}

absl::Status RegisterBad(PassRegistrar& to) {
  MASE_RETURN_IF_ERROR(Add<Exits>(to, "exits"));
  MASE_RETURN_IF_ERROR(Add<ExitsAtOnce>(to, "exits_at_once"));
  MASE_RETURN_IF_ERROR(Add<Aborts>(to, "aborts"));
  MASE_RETURN_IF_ERROR(Add<Crashes>(to, "crashes"));
  MASE_RETURN_IF_ERROR(Add<Overflows>(to, "overflows"));
  MASE_RETURN_IF_ERROR(Add<Throws>(to, "throws"));
  MASE_RETURN_IF_ERROR(Add<ThrowsNumber>(to, "throws_number"));
  MASE_RETURN_IF_ERROR(Add<Hangs>(to, "hangs"));
  MASE_RETURN_IF_ERROR(Add<EatsMemory>(to, "eats_memory"));
  MASE_RETURN_IF_ERROR(Add<UsesAnErasedNode>(to, "uses_an_erased_node", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<Shouts>(to, "shouts"));
  MASE_RETURN_IF_ERROR(Add<ShoutsAndCrashes>(to, "shouts_and_crashes"));
  MASE_RETURN_IF_ERROR(Add<ShoutsBytes<kKept - 1>>(to, "shouts_65535"));
  MASE_RETURN_IF_ERROR(Add<ShoutsBytes<kKept>>(to, "shouts_65536"));
  MASE_RETURN_IF_ERROR(Add<ShoutsBytes<kKept + 1>>(to, "shouts_65537"));
  MASE_RETURN_IF_ERROR(Add<CountsItsLimits>(to, "counts_its_limits"));
  MASE_RETURN_IF_ERROR(Add<HidesAChange>(to, "hides_a_change"));
  MASE_RETURN_IF_ERROR(Add<ClaimsAChange>(to, "claims_a_change", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<MakesACircle>(to, "makes_a_circle", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<ErasesTheOutput>(to, "erases_the_output", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<RoundsUp>(to, "rounds_up"));
  MASE_RETURN_IF_ERROR(Add<RecordsNoFormat>(to, "records_no_format", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<Renames>(to, "renames", PassKind::kTransform));
  MASE_RETURN_IF_ERROR(Add<ReachesOut>(to, "reaches_out"));
  MASE_RETURN_IF_ERROR(Add<ReadsAFile>(to, "reads_a_file"));
  MASE_RETURN_IF_ERROR(Add<SendsGarbage>(to, "sends_garbage"));
  MASE_RETURN_IF_ERROR(Add<ClaimsBytes<kMost - 1>>(to, "claims_one_less"));
  MASE_RETURN_IF_ERROR(Add<ClaimsBytes<kMost>>(to, "claims_the_most"));
  MASE_RETURN_IF_ERROR(Add<ClaimsBytes<kMost + 1>>(to, "claims_one_more"));
  MASE_RETURN_IF_ERROR(Add<Talks<2>>(to, "talks_twice"));
  MASE_RETURN_IF_ERROR(Add<Talks<3>>(to, "talks_thrice"));
  MASE_RETURN_IF_ERROR(to.AddPass<CreatedAsNull>("created_as_null", kSummary));
  MASE_RETURN_IF_ERROR(to.AddPass<CreatedByThrowing>("created_by_throwing", kSummary));
  return to.AddPass<Runs<Good>>("needs_nobody", kSummary, {.needs = {"nobody"}});
}

// ---- Plugins that go wrong ----

absl::Status Register(PassRegistrar& registrar) {
  if (IsCalled("bad")) return RegisterBad(registrar);
  if (IsCalled("shadow")) return Add<Good>(registrar, "bundled_pass");
  if (IsCalled("nameless")) return Add<Good>(registrar, "");
  if (IsCalled("odd_name")) return Add<Good>(registrar, "two words\n");
  if (IsCalled("exits_registering")) std::exit(0);
  // name_of_64: a pass with a name of so many letters.
  if (const int letters = NumberBehind("name_of_"); letters > 0) {
    return Add<Good>(registrar, std::string(static_cast<size_t>(letters), 'p').c_str());
  }
  if (const int letters = NumberBehind("alias_of_"); letters > 0) {
    return registrar.AddPass<Runs<Good>>(
        "fixture_pass", kSummary,
        {.kind = PassKind::kAnalysis, .aliases = {std::string(static_cast<size_t>(letters), 'p')}});
  }
  MASE_RETURN_IF_ERROR(Add<Good>(registrar, "fixture_pass"));
  if (IsCalled("repeat")) return Add<Good>(registrar, "fixture_pass");
  if (IsCalled("throwing")) throw std::runtime_error("no licence");
  return absl::OkStatus();
}

// Before anybody asks it anything.
__attribute__((constructor)) void OnOpening() {
  if (IsCalled("exiting")) std::exit(0);
  if (IsCalled("aborting")) std::abort();
  if (IsCalled("flushing")) _mm_setcsr(_mm_getcsr() | 0x8040);
}

}  // namespace
}  // namespace mase

MASE_SIGN_PLUGIN_(MASE_BUILD_SIGNATURE)

extern "C" const MasePluginInfo* MasePluginGetInfo(void) {
  using mase::IsCalled;
  if (IsCalled("returns_nothing")) return nullptr;
  if (IsCalled("throws_at_once")) throw 42;
  static MasePluginInfo info = {
      .struct_size = sizeof(MasePluginInfo),
      .abi_version = mase::kMasePluginAbiVersion,
      .name = mase::Stem().c_str(),
      .version = "1.2.3",
      .register_passes = [](mase::PassRegistrar* registrar) { registrar->Run(mase::Register); },
      .owner = "Ann, ann@example.org",
      .status = "experimental"};
  if (IsCalled("other_size")) info.struct_size += 8;
  if (IsCalled("other_abi")) info.abi_version = 99;
  if (IsCalled("other_name")) info.name = "somebody_else";
  if (IsCalled("null_field")) info.register_passes = nullptr;
  if (IsCalled("null_owner")) info.owner = nullptr;
  if (IsCalled("odd_status")) info.status = "sta\nble";
  // Breaks the rule that exceptions stay inside.
  if (IsCalled("escaping")) info.register_passes = [](mase::PassRegistrar*) { throw 42; };
  return &info;
}
