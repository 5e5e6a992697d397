#include <algorithm>
#include <limits>
#include <vector>

#include "mase/exec/arena.h"
#include "mase/exec/stages.h"

namespace mase {
namespace {

using Home = Program::Value::Home;
using Step = Program::Step;

// The end of time: memory that lives from call to call.
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

// Step i of n runs forward at time i and backward at time 2 n - i; steps of `prepare` at time -1,
// and what belongs to them lives for ever.
class Placer {
 public:
  explicit Placer(const Program& program)
      : program_(program), uses_(program.values.size()), gradients_(program.values.size(), -1) {}

  Memory Run() {
    FindLastReads();
    GiveBuffers();
    Memory memory;
    memory.steps.resize(program_.steps.size());
    memory.prepare.resize(program_.prepare.size());
    for (int64_t i = 0; i < count(); ++i) PlaceStep(program_.steps[i], i, memory.steps[i]);
    for (size_t i = 0; i < memory.prepare.size(); ++i) {
      const Step& step = program_.prepare[i];
      uses_[step.dst].buffer = AddBuffer(program_.desc(step.dst).bytes());
      PlaceStep(step, -1, memory.prepare[i]);
    }
    for (const Program::Seed& seed : program_.seeds) {
      UseGradient(program_.outputs[seed.output].value, count());
    }
    const ArenaLayout layout = PackArena(lifetimes_);
    const auto offset = [&](int64_t buffer) {
      return buffer < 0 ? Memory::kNowhere : layout.offsets[buffer];
    };
    // So far, buffers' numbers.
    for (auto* steps : {&memory.prepare, &memory.steps}) {
      for (Memory::OfStep& step : *steps) {
        for (int64_t* place :
             {&step.prepared, &step.workspace, &step.scratch, &step.backward_scratch}) {
          *place = offset(*place);
        }
        for (auto* places : {&step.src_temporaries, &step.tensor_temporaries}) {
          for (int64_t& place : *places) place = offset(place);
        }
      }
    }
    memory.bytes = layout.bytes;
    for (const Use& use : uses_) memory.values.push_back(offset(use.buffer));
    for (const int buffer : gradients_) memory.gradients.push_back(offset(buffer));
    return memory;
  }

 private:
  struct Use {
    int buffer = -1;
    int64_t last_reader = -1;  // Forward.
    int64_t kept_until = -1;   // For Backward.
  };

  int64_t count() const { return static_cast<int64_t>(program_.steps.size()); }
  int64_t BackwardTime(int64_t step) const { return 2 * count() - step; }

  int AddBuffer(int64_t bytes) {
    lifetimes_.push_back({kForever, -1, bytes});
    return static_cast<int>(lifetimes_.size()) - 1;
  }

  void Touch(int buffer, int64_t time) {
    lifetimes_[buffer].first = std::min(lifetimes_[buffer].first, time);
    lifetimes_[buffer].last = std::max(lifetimes_[buffer].last, time);
  }

  int AddBuffer(int64_t bytes, int64_t time) {
    const int buffer = AddBuffer(bytes);
    Touch(buffer, time);
    return buffer;
  }

  void FindLastReads() {
    for (int64_t i = 0; i < count(); ++i) {
      const Step& step = program_.steps[i];
      for (const Program::Operand& src : step.srcs) uses_[src.value].last_reader = i;
      if (!step.runs_backward) continue;
      const auto keep = [&](int value) {
        uses_[value].kept_until = std::max(uses_[value].kept_until, BackwardTime(i));
      };
      if (step.kernel->reads_dst()) keep(step.dst);
      if (!step.kernel->reads_src()) continue;
      for (const Program::Operand& src : step.srcs) keep(src.value);
    }
  }

  // A result takes its first input's place where nobody needs the input any more.
  void GiveBuffers() {
    for (int64_t i = 0; i < count(); ++i) {
      const Step& step = program_.steps[i];
      const int src = step.srcs[0].value;
      const Program::Value &from = program_.values[src], &to = program_.values[step.dst];
      const bool shares = step.kernel->in_place() && from.home == Home::kArena && !from.prepared &&
                          !from.stays && uses_[src].last_reader == i && uses_[src].kept_until < 0 &&
                          from.desc.layout == to.desc.layout &&
                          from.desc.bytes() == to.desc.bytes();
      uses_[step.dst].buffer = shares ? uses_[src].buffer : AddBuffer(to.desc.bytes());
    }
  }

  void PlaceStep(const Step& step, int64_t time, Memory::OfStep& memory) {
    const bool forever = time < 0;
    const int64_t back = forever ? kForever : BackwardTime(time);
    const Kernel& kernel = *step.kernel;
    const Use& dst = uses_[step.dst];
    Touch(dst.buffer, time);
    if (program_.values[step.dst].stays || forever) Touch(dst.buffer, kForever);
    if (dst.last_reader >= 0) Touch(dst.buffer, dst.last_reader);
    if (dst.kept_until >= 0) Touch(dst.buffer, dst.kept_until);
    if (kernel.prepared_bytes() > 0) {
      memory.prepared = AddBuffer(kernel.prepared_bytes(), -1);
      Touch(memory.prepared, kForever);
    }
    if (kernel.workspace_bytes() > 0) {
      memory.workspace = AddBuffer(kernel.workspace_bytes(), time);
      if (step.runs_backward) Touch(memory.workspace, back);
    }
    if (kernel.scratch_bytes() > 0) {
      memory.scratch = AddBuffer(kernel.scratch_bytes(), time);
      if (step.runs_backward) memory.backward_scratch = AddBuffer(kernel.scratch_bytes(), back);
    }
    if (!step.runs_backward) return;
    if (program_.values[step.dst].has_gradient) UseGradient(step.dst, back);
    memory.src_temporaries.assign(step.srcs.size(), -1);
    for (size_t i = 0; i < step.srcs.size(); ++i) {
      PlaceGradient(step.src_gradients[i], step.srcs[i].value, back, memory.src_temporaries[i]);
    }
    memory.tensor_temporaries.assign(step.tensors.size(), -1);
    for (size_t i = 0; i < step.tensors.size(); ++i) {
      PlaceGradient(step.tensor_gradients[i], step.tensors[i], back, memory.tensor_temporaries[i]);
    }
  }

  void PlaceGradient(const Program::Gradient& gradient, int value, int64_t time,
                     int64_t& temporary) {
    if (!gradient.wanted) return;
    UseGradient(value, time);
    if (gradient.adds) temporary = AddBuffer(program_.desc(value).bytes(), time);
  }

  void UseGradient(int id, int64_t time) {
    if (program_.values[id].home == Home::kStore) return;
    if (gradients_[id] < 0) gradients_[id] = AddBuffer(program_.desc(id).bytes());
    Touch(gradients_[id], time);
  }

  const Program& program_;
  std::vector<Use> uses_;       // By value.
  std::vector<int> gradients_;  // Their buffers, by value.
  std::vector<Lifetime> lifetimes_;
};

}  // namespace

Memory PlaceMemory(const Program& program) { return Placer(program).Run(); }

}  // namespace mase
