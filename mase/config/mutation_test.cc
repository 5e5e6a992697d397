// Damaged settings files never crash the reader: they load, or give one line that
// starts with the file's name. A fixed seed makes a failure repeat.
//
//   bazel test //mase/config:mutation_test                            small
//   ./bazelw run //mase/config:mutation_test -- --mutations=1000000      by hand
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "gtest/gtest.h"
#include "mase/config/testing_config.h"
#include "mase/config/text_proto.h"

DEFINE_int32(mutations, 3000, "Damaged texts per format.");

namespace mase {
namespace {

constexpr char kToml[] = R"toml(
model = "jsc-tiny"
dataset = {name = "jsc", validation_split = 0.5, train = 'a.csv'}
learning_rate = 1e-2
debug = true
[[passes]]
name = "first"
by = "name"
sizes = [1, 2]
ratio = "NA"
[[passes]]
name = "shape_up"
weights = {a = 1, b = 2}
mode = "hard"
[passes."seq.*".config]
data_in_width = 8
[passes.linear.config]
name = "NA"
weight_block_size = [1, 16]
[search.search_space.seed.default.config]
width = [1, "NA"]
[cf_args]
name = """text
more"""
at = 1979-05-27T07:32:00Z
)toml";

constexpr char kJson[] = R"json({
  "model": "jsc-tiny", "dataset": {"name": "jsc", "validation_split": 0.5},
  "passes": {"shape_up": {"by": "type", "sizes": [1, 2], "default": {"config": {"name": null}},
    "linear": {"config": {"data_in_width": 8, "left": {"width": 1}, "weight_width": 2}}},
    "first": {"@type": "x/mase.plugins.shape_up.ShapeUpOptions", "weights": {"a": 1.5e3}}},
  "search": {"search_space": {"settings": {"a": [1]}}}, "cf_args": {"\u00e9\"\\": [true, {"a": [[]]}]}, "seed": 42
})json";

constexpr char kTextProto[] = R"pb(
  model { name: "jsc-tiny" load_type: "pl" }
  dataset < name: 'jsc' validation_split: .5 >
  learning_rate: 1e-2  # comment
  passes {
    name: "shape_up"
    options {
      [type.googleapis.com/mase.plugins.shape_up.ShapeUpOptions] {
        rules {
          key: "a\x41\n"
          config { data_in { width: 8 } }
        }
        weights { key: "a" value: 1 }
        sizes: [ 1, 2 ]
        mode: HARD
        anything {
          fields {
            key: "k"
            value { list_value { values { bool_value: true } } }
          }
        }
      }
    }
  }
  search {
    search_space {
      settings {
        name: "a"
        values { number_value: 20 }
      }
    }
  }
  cf_args {
    fields {
      key: "a"
      value { number_value: 20 }
    }
  }
)pb";

class Mutator {
 public:
  explicit Mutator(absl::string_view text) : text_(text) {}

  std::string Next() {
    std::string mutant(text_);
    for (uint32_t edits = 1 + Draw(4); edits > 0; --edits) Edit(mutant);
    return mutant;
  }

 private:
  // The library's distributions may differ between builds; a remainder does not.
  uint32_t Draw(size_t bound) { return random_() % static_cast<uint32_t>(bound); }

  void Edit(std::string& text) {
    static const auto* const pieces = new std::vector<std::string>{
        "[",        "]",          "{",    "}",       "<",
        ">",        "\"",         "'",    "\"\"\"",  "=",
        ":",        ".",          ",",    "\n",      "#",
        "\\",       "\\u",        "-",    "1e999",   "99999999999999999999",
        "NA",       "nan",        "null", "true",    "passes",
        "[passes]", "[[passes]]", "name", "options", "@type",
        "_",        "data_in_",   "\r",   "\t",      std::string(1, '\0'),
        "\xff",     "\xc3\xa9"};
    const size_t at = Draw(text.size() + 1);
    const size_t size = std::min<size_t>(1 + Draw(12), text.size() - at);
    switch (Draw(5)) {
      case 0:
        text.erase(at, size);
        break;
      case 1:
        text.insert(at, (*pieces)[Draw(pieces->size())]);
        break;
      case 2:
        text.replace(at, size, (*pieces)[Draw(pieces->size())]);
        break;
      case 3:  // Copy a stretch elsewhere.
        text.insert(Draw(text.size() + 1), text.substr(at, 1 + Draw(80)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(Draw(256));
    }
    if (text.empty()) text = " ";
  }

  const absl::string_view text_;
  std::mt19937 random_{1};
};

void CheckMutants(absl::string_view text, const std::string& name) {
  ASSERT_EQ(ErrorOf(text, name), "OK");
  Mutator mutator(text);
  int loaded = 0;
  for (int i = 0; i < FLAGS_mutations; ++i) {
    const std::string mutant = mutator.Next();
    const absl::StatusOr<LoadedConfig> result = LoadText(mutant, name);
    if (result.ok()) {
      ++loaded;
      // What loads can be written and read again.
      EXPECT_EQ(ErrorOf(ConfigText(result->config), "again.textproto"), "OK") << mutant;
      SettingsTable(result->record, ShownSettings::kAll).Text();
      OriginsTable(result->record).Text();
      continue;
    }
    const absl::string_view message = result.status().message();
    for (absl::string_view line : absl::StrSplit(message, '\n')) {
      EXPECT_TRUE(absl::StartsWith(line, name + ":") || absl::StartsWith(line, "and "))
          << message << "\n"
          << mutant;
    }
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, FLAGS_mutations);
}

TEST(MutationTest, DamagedToml) { CheckMutants(kToml, "f.toml"); }
TEST(MutationTest, DamagedJson) { CheckMutants(kJson, "f.json"); }
TEST(MutationTest, DamagedTextProto) { CheckMutants(kTextProto, "f.textproto"); }

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return RUN_ALL_TESTS();
}
