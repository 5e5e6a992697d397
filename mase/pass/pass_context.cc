#include "mase/pass/pass_context.h"

#include <memory>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/last_words.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/pass/pass.h"
#include "mase/pass/pass_registry.h"

namespace mase {
namespace {

constexpr int kMaxDepth = 16;  // Of passes that run passes.

}  // namespace

absl::StatusOr<bool> PassContext::RunPass(absl::string_view name, Graph& graph,
                                          const google::protobuf::Any& options) {
  if (depth_ == kMaxDepth) {
    return absl::FailedPreconditionError(
        absl::StrCat("pass ", name, " is the ", kMaxDepth + 1, "th of passes that run each other"));
  }
  ++depth_;
  const absl::Cleanup out = [this] { --depth_; };
  MASE_ASSIGN_OR_RETURN(const PassInfo* info, host_.LookUpPass(name));
  bool changed = false;
  for (const std::string& needed : info->traits.needs) {
    MASE_ASSIGN_OR_RETURN(const bool by_needed, RunPass(needed, graph));
    changed |= by_needed;
  }
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<Pass> pass, CreatePass(*info, options));
  const absl::StatusOr<PassResult> result = pass->Run(graph, *this);
  if (!result.ok()) return Annotate(result.status(), info->name);
  return changed || result->changed();
}

void PassContext::Count(absl::string_view counter, double amount) {
  record_.counts[std::string(counter)] += amount;
}

void PassContext::Note(const Node& node, absl::string_view decision, absl::string_view reason,
                       absl::string_view option) {
  SetLastNode(node.name());
  record_.decisions.push_back({node.name(), std::string(node.mase_op()), std::string(decision),
                               std::string(reason), std::string(option)});
}

void PassContext::Warn(absl::string_view warning) { record_.warnings.emplace_back(warning); }

absl::Status PassContext::AddTable(Table table) {
  const std::string& name = table.name();
  const bool is_word = !name.empty() && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
  if (!is_word) {
    return absl::InvalidArgumentError(absl::StrCat(
        "table name '", name, "': want a word of letters, digits, '_' and '-', such as costs"));
  }
  for (const Table& other : record_.tables) {
    if (other.name() == name) {
      return absl::InvalidArgumentError(absl::StrCat("has two tables '", name, "'"));
    }
  }
  const std::string path = absl::StrCat(folder_, "/", name, ".csv");
  MASE_RETURN_IF_ERROR(WriteArtifact(path, table.Csv()));
  host_.Show(table, path);
  record_.tables.push_back(std::move(table));
  return absl::OkStatus();
}

void PassContext::Print(absl::string_view text) {
  if (absl::EndsWith(text, "\n")) return host_.Print(text);
  host_.Print(absl::StrCat(text, "\n"));
}

namespace {

// The run's own files, which say what it was.
constexpr absl::string_view kReserved[] = {"settings.textproto", "summary.json"};

absl::Status CheckInside(absl::string_view path) {
  const bool is_text = absl::c_all_of(path, [](char c) { return !absl::ascii_iscntrl(c); });
  if (!is_text) {
    return absl::InvalidArgumentError(
        absl::StrCat("file name ", Quoted(path), " has control characters"));
  }
  if (absl::c_linear_search(kReserved, path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("file name '", path, "' is the run's own; choose another"));
  }
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    // An absolute path begins with an empty part.
    if (part.empty() || part == "." || part == "..") {
      return absl::InvalidArgumentError(absl::StrCat(
          "file name '", path, "': want a path inside the run directory, such as report.txt"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PassContext::WriteArtifact(absl::string_view path, absl::string_view contents) {
  MASE_RETURN_IF_ERROR(CheckInside(path));
  return host_.WriteArtifact(path, contents);
}

absl::Status PassContext::WriteGraph(absl::string_view path, const Graph& graph) {
  MASE_RETURN_IF_ERROR(CheckInside(path));
  return host_.WriteGraph(path, graph);
}

}  // namespace mase
