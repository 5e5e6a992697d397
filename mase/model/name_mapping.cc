#include "mase/model/name_mapping.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/table.h"

namespace mase {
namespace {

constexpr size_t kMaxTableRows = 12;

// Names that modules get from what they are wrapped in: DataParallel, torch.compile, Lightning.
constexpr absl::string_view kWrappers[] = {"module", "_orig_mod", "model"};

bool IsOfWrappers(absl::string_view prefix) {
  return absl::c_all_of(absl::StrSplit(prefix, '.', absl::SkipEmpty()), [](absl::string_view part) {
    return absl::c_linear_search(kWrappers, part);
  });
}

// ---- A prefix ----

// The prefixes under which the file has tensors of the net, with how many that may not be missing.
std::map<std::string, int> CountByPrefix(absl::Span<const FoundTensor> file, const Graph& graph) {
  std::map<std::string, int> counts;
  for (const FoundTensor& tensor : file) {
    size_t at = 0;
    do {
      const std::string name = tensor.name.substr(at);
      if (graph.FindTensor(name) != nullptr) {
        counts[tensor.name.substr(0, at)] += MayBeMissing(name) ? 0 : 1;
      }
      at = tensor.name.find('.', at) + 1;
    } while (at != 0);
  }
  return counts;
}

NameMapping WithPrefix(absl::string_view prefix, absl::Span<const FoundTensor> file,
                       const Graph& graph) {
  NameMapping mapping;
  for (const FoundTensor& tensor : file) {
    if (!absl::StartsWith(tensor.name, prefix)) continue;
    const std::string name = tensor.name.substr(prefix.size());
    if (graph.FindTensor(name) != nullptr) mapping.found[name] = tensor.name;
  }
  if (!prefix.empty()) {
    mapping.reason = absl::StrCat("names in the file begin with '", prefix, "'");
  }
  return mapping;
}

// ---- Numbers ----

// The tensors of one module by their last names, without those that may be missing.
using ModuleTensors = std::map<std::string, Shape>;

struct Module {
  std::string path;
  ModuleTensors tensors;
};

// "seq_blocks.2", "weight" of "seq_blocks.2.weight".
std::pair<std::string, std::string> SplitName(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

std::vector<Module> ModulesOf(const Graph& graph) {
  std::vector<Module> modules;
  absl::flat_hash_map<std::string, size_t> index;
  for (const GraphTensor& tensor : graph.tensors()) {
    if (MayBeMissing(tensor.name)) continue;
    const auto [path, last] = SplitName(tensor.name);
    const auto [it, is_new] = index.try_emplace(path, modules.size());
    if (is_new) modules.push_back({path, {}});
    modules[it->second].tensors[last] = tensor.value.shape();
  }
  return modules;
}

// The numbers at the end of a path: {1, 0} of "net.1.0", and what stands before them, "net.".
std::pair<std::string, std::vector<int>> TrailingNumbers(absl::string_view path) {
  std::vector<absl::string_view> parts = absl::StrSplit(path, '.');
  std::vector<int> numbers;
  int number;
  while (!parts.empty() && absl::c_all_of(parts.back(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(parts.back(), &number)) {
    numbers.insert(numbers.begin(), number);
    parts.pop_back();
  }
  return {parts.empty() ? "" : absl::StrCat(absl::StrJoin(parts, "."), "."), numbers};
}

// The file's numbered modules by what stands before the numbers, in the order of the numbers.
using Sequences = std::map<std::string, std::map<std::vector<int>, Module>>;

Sequences SequencesOf(absl::Span<const FoundTensor> file) {
  Sequences sequences;
  for (const FoundTensor& tensor : file) {
    const auto [path, last] = SplitName(tensor.name);
    const auto [prefix, numbers] = TrailingNumbers(path);
    if (numbers.empty() || MayBeMissing(tensor.name)) continue;
    Module& module = sequences[prefix][numbers];
    module.path = path;
    module.tensors[last] = tensor.shape;
  }
  return sequences;
}

// Whether the net is one chain of nodes, so that the order of its modules is the only one.
bool IsChain(const Graph& graph) {
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->inputs().size() > 1) return false;
    for (const Value* value : node->outputs()) {
      if (value->uses().size() > 1) return false;
    }
  }
  return true;
}

bool HasTwoAlike(absl::Span<const Module> modules) {
  absl::flat_hash_set<std::string> seen;
  for (const Module& module : modules) {
    std::string tensors;
    for (const auto& [name, shape] : module.tensors) {
      absl::StrAppend(&tensors, name, " ", shape.ToString(), ";");
    }
    if (!seen.insert(std::move(tensors)).second) return true;
  }
  return false;
}

// The mapping by numbers, or nothing where the file has no such modules.
absl::StatusOr<std::optional<NameMapping>> ByNumbers(absl::Span<const FoundTensor> file,
                                                     const Graph& graph) {
  const std::vector<Module> wanted = ModulesOf(graph);
  std::vector<std::vector<Module>> fitting;
  for (const auto& [prefix, numbered] : SequencesOf(file)) {
    std::vector<Module> sequence;
    for (const auto& [numbers, module] : numbered) sequence.push_back(module);
    const bool fits = absl::c_equal(
        sequence, wanted, [](const Module& a, const Module& b) { return a.tensors == b.tensors; });
    if (fits) fitting.push_back(std::move(sequence));
  }
  if (fitting.empty()) return std::nullopt;
  if (fitting.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file has more than one sequence of modules that could be model '", graph.name(),
        "': ", fitting[0][0].path, ", ... and ", fitting[1][0].path, ", ...; keep one of them"));
  }
  if (!IsChain(graph) && HasTwoAlike(wanted)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file's modules are numbers (", fitting[0][0].path, ", ...), and model '", graph.name(),
        "' has branches and modules of equal shapes: which is which cannot be told; "
        "give the tensors the model's names"));
  }
  NameMapping mapping;
  std::vector<std::string> pairs;
  absl::flat_hash_map<std::string, std::string> file_path;
  for (size_t i = 0; i < wanted.size(); ++i) {
    file_path[wanted[i].path] = fitting[0][i].path;
    if (i < 3) pairs.push_back(absl::StrCat(fitting[0][i].path, " = ", wanted[i].path));
  }
  if (wanted.size() > pairs.size()) pairs.push_back("...");
  absl::flat_hash_set<std::string> names;
  for (const FoundTensor& tensor : file) names.insert(tensor.name);
  for (const GraphTensor& tensor : graph.tensors()) {
    const auto [path, last] = SplitName(tensor.name);
    const auto it = file_path.find(path);
    if (it == file_path.end()) continue;
    const std::string name = absl::StrCat(it->second, ".", last);
    if (names.contains(name)) mapping.found[tensor.name] = name;
  }
  mapping.reason = absl::StrCat("numbered modules taken in order: ", absl::StrJoin(pairs, ", "));
  return mapping;
}

// ---- Neither ----

// What is wanted and lacks, beside what the file has and the net has no use for.
std::string TableOfBoth(const NameMapping& nearest, absl::Span<const FoundTensor> file,
                        const Graph& graph) {
  absl::flat_hash_set<std::string> used;
  for (const auto& [wanted, found] : nearest.found) used.insert(found);
  std::vector<std::string> lacking;
  for (const GraphTensor& tensor : graph.tensors()) {
    if (nearest.found.contains(tensor.name) || MayBeMissing(tensor.name)) continue;
    lacking.push_back(absl::StrCat(tensor.name, " ", tensor.value.shape().ToString()));
  }
  std::vector<std::string> besides;
  for (const FoundTensor& tensor : file) {
    if (used.contains(tensor.name) || MayBeMissing(tensor.name)) continue;
    besides.push_back(absl::StrCat(tensor.name, " ", tensor.shape.ToString()));
  }
  Table table({{"Wanted"}, {"In the file, not used"}});
  const size_t rows = std::max(lacking.size(), besides.size());
  for (size_t i = 0; i < std::min(rows, kMaxTableRows); ++i) {
    table.AddRow({i < lacking.size() ? lacking[i] : "", i < besides.size() ? besides[i] : ""});
  }
  const auto more = [](size_t all) {
    return all > kMaxTableRows ? absl::StrCat("and ", all - kMaxTableRows, " more") : "";
  };
  if (rows > kMaxTableRows) table.AddRow({more(lacking.size()), more(besides.size())});
  std::string text = table.Text();
  text.pop_back();  // Messages end without a line break.
  return text;
}

}  // namespace

bool MayBeMissing(absl::string_view name) { return absl::EndsWith(name, "num_batches_tracked"); }

absl::StatusOr<NameMapping> MapNames(absl::Span<const FoundTensor> file, const Graph& graph) {
  const int needed = static_cast<int>(absl::c_count_if(
      graph.tensors(), [](const GraphTensor& tensor) { return !MayBeMissing(tensor.name); }));
  std::vector<std::string> complete;
  std::pair<std::string, int> nearest = {"", 0};
  for (const auto& [prefix, count] : CountByPrefix(file, graph)) {
    if (count == needed) complete.push_back(prefix);
    if (count > nearest.second) nearest = {prefix, count};
  }
  if (needed == 0 || absl::c_linear_search(complete, "")) return WithPrefix("", file, graph);
  if (complete.size() > 1) {
    std::vector<std::string> of_wrappers;
    absl::c_copy_if(complete, std::back_inserter(of_wrappers), IsOfWrappers);
    if (of_wrappers.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the file has model '", graph.name(), "' more than once, under the prefixes '",
          absl::StrJoin(complete, "', '"), "'; keep one of them"));
    }
    complete = of_wrappers;
  }
  if (!complete.empty()) return WithPrefix(complete[0], file, graph);

  absl::StatusOr<std::optional<NameMapping>> numbered = ByNumbers(file, graph);
  if (!numbered.ok()) return numbered.status();
  if (numbered->has_value()) return **std::move(numbered);
  return absl::InvalidArgumentError(absl::StrCat(
      "lacks ", needed - nearest.second, " of the ", needed, " tensors of model '", graph.name(),
      "':\n", TableOfBoth(WithPrefix(nearest.first, file, graph), file, graph)));
}

}  // namespace mase
