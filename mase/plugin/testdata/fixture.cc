// One plugin for many tests: what it does depends on the name of its file, so that a test makes the
// one that it needs by a copy (mase/plugin/testdata/fixtures.h) and nothing else is compiled. It is
// a good one by any other name.
#include <dlfcn.h>
#include <fcntl.h>
#include <pmmintrin.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xmmintrin.h>

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
Result Shouts(Graph&, PassContext&) {
  std::printf("stray words\n");
  std::fflush(stdout);
  return PassResult::Unchanged();
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
  MASE_RETURN_IF_ERROR(Add<Shouts>(to, "shouts"));
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
      .register_passes = [](mase::PassRegistrar* registrar) { registrar->Run(mase::Register); }};
  if (IsCalled("other_size")) info.struct_size += 8;
  if (IsCalled("other_abi")) info.abi_version = 99;
  if (IsCalled("other_name")) info.name = "somebody_else";
  if (IsCalled("null_field")) info.register_passes = nullptr;
  // Breaks the rule that exceptions stay inside.
  if (IsCalled("escaping")) info.register_passes = [](mase::PassRegistrar*) { throw 42; };
  return &info;
}
