// What ops and formats are stands in their tables alone: outside of these no string literal is the
// name of one. Who needs to know an op asks for its traits and roles, or names a constant of ops.h;
// who needs to know a format asks its Family.
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/format/family.h"
#include "mase/graph/op_schema.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// The tables, and who implements their rows: beginnings of paths.
const char* const kTables[] = {
    "mase/graph/ops",              // Ops.
    "mase/graph/node.cc",          // Kinds of nodes, two of which are called as their op.
    "mase/kernel/",                // Kernels register against the name.
    "mase/format/",                // Families, a file each.
    "mase/quantize/reference.cc",  // Where MASE differs, op by op and format by format.
    "mase/model/",                 // The zoo and its layers.
    "mase/testing/",               // Reference kernels.
    "plugins/compare_formats/named_formats.cc",  // The formats that are compared.
};

// Words that are no op where they stand.
const std::pair<const char*, const char*> kOtherWords[] = {
    {"mase/data/images.cc", "cat"},
    {"mase/data/cache_file.cc", "size"},
    {"mase/data/jsc_sim.cc", "mean"},
    {"mase/search/study_tables.cc", "log"},        // A key of a distribution.
    {"mase/exec/execution_report.cc", "integer"},  // A way to run a net.
    {"mase/calibrate/statistic_collectors.cc", "mean"},
    {"mase/export_c/c_text.cc", "floor"},              // A function of C.
    {"mase/graph/graph_text_internal.h", "get_attr"},  // A kind of nodes.
    {"mase/search/objective.cc", "sum"},               // Of scaled metrics.
    {"mase/search/search_results.cc", "sum"},
    {"mase/search/trial_runner.cc", "integer"},
    {"mase/run/execution.cc", "sum"},
    {"mase/onnx/ops_select.cc", "ceil"},  // Of nearest_mode.
    {"mase/onnx/ops_select.cc", "floor"},
    {"mase/plugin/run_apart.cc", "output"},  // Names of files in memory.
    {"mase/cli/worker.cc", "output"},
    {"mase/run/build_events.cc", "log"},   // A file that Bazel names.
    {"mase/export_c/c_writer.cc", "mul"},  // The end of a sentence.
    {"mase/export_c/c_writer.cc", "sum"},  // A variable of C.
    {"plugins/profile_statistics/profile_statistics.cc", "abs"},
};

std::set<std::string> Names() {
  std::set<std::string> names;
  for (const OpSchema* schema : AllOps()) names.emplace(schema->name);
  for (const Family* family : Families()) {
    names.emplace(family->name);
    for (absl::string_view alias : family->aliases) names.emplace(alias);
  }
  return names;
}

bool IsAllowed(const std::string& path, const std::string& word) {
  if (absl::EndsWith(path, "_test.cc") || absl::EndsWith(path, "_benchmark.cc")) return true;
  for (const char* table : kTables) {
    if (absl::StartsWith(path, table)) return true;
  }
  return absl::c_any_of(
      kOtherWords, [&](const auto& other) { return path == other.first && word == other.second; });
}

// The string literals of a line, without those of comments.
std::vector<std::string> Literals(const std::string& line) {
  std::vector<std::string> literals;
  size_t at = 0;
  while ((at = line.find_first_of("\"/", at)) != std::string::npos) {
    if (line[at] == '/') {
      if (line.compare(at, 2, "//") == 0) break;
      ++at;
      continue;
    }
    size_t end = at + 1;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    if (end >= line.size()) break;
    literals.push_back(line.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return literals;
}

TEST(FactsTest, OnlyTheTablesNameOpsAndFormats) {
  const fs::path root = fs::canonical(Runfile("README.md")).parent_path();
  const std::set<std::string> names = Names();
  int files = 0;
  for (const char* room : {"mase", "plugins"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h") continue;
      const std::string path = fs::relative(entry.path(), root).string();
      ++files;
      std::ifstream file(entry.path());
      std::string line;
      for (int number = 1; std::getline(file, line); ++number) {
        for (const std::string& literal : Literals(line)) {
          if (names.count(literal) == 0 || IsAllowed(path, literal)) continue;
          ADD_FAILURE() << path << ":" << number << ": \"" << literal
                        << "\": ask for a trait of the op or format, or use its constant (ops.h)";
        }
      }
    }
  }
  EXPECT_GT(files, 300);  // All of them were seen.
}

}  // namespace
}  // namespace mase
