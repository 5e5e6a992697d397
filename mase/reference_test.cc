// A net quantized with semantics = "reference" predicts what MASE's net predicts: transform, then
// test, as users run them. testdata/reference/predictions.txt has MASE's classes.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/interop/npy.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

struct Case {
  std::string net;  // A checkpoint of testdata, or the layers of conv.safetensors.
  std::vector<std::pair<std::string, std::string>> rules;  // Op and QuantizeConfig as text.
  std::string classes;                                     // A digit a row.

  bool is_image_net() const { return net.find(' ') != std::string::npos; }

  std::string Config() const {
    const std::string checkpoint = is_image_net()
                                       ? Runfile("testdata/reference/conv.safetensors")
                                       : Runfile("testdata/checkpoints/" + net + ".safetensors");
    std::string text =
        absl::StrCat("model { name: '", net, "' load_name: '", checkpoint, "' }\n",
                     "dataset { name: '", is_image_net() ? "mnist" : "jsc",
                     "' } batch_size: 1000\n", "passes { name: 'quantize' options {",
                     " [type.googleapis.com/mase.plugins.quantize.QuantizeOptions] {\n",
                     "  semantics: REFERENCE\n");
    for (const auto& [op, config] : rules) {
      const bool is_default = op == "default";
      absl::StrAppend(&text, is_default ? "  default {" : "  rules {", " match: '", op,
                      "' config { ", config, " } }\n");
    }
    return text + "} } }\n";
  }
};

std::vector<Case> Cases() {
  std::ifstream file(Runfile("testdata/reference/predictions.txt"));
  std::vector<Case> cases;
  std::string line;
  while (std::getline(file, line)) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (parts.first == "net") {
      cases.emplace_back().net = parts.second;
    } else if (parts.first == "rule") {
      cases.back().rules.push_back(absl::StrSplit(parts.second, absl::MaxSplits(' ', 1)));
    } else {
      cases.back().classes = parts.second;
    }
  }
  return cases;
}

// The largest output of each row, as digits.
std::string Classes(const Tensor& outputs) {
  const int64_t count = outputs.shape()[1];
  const float* row = outputs.data<float>().data();
  std::string classes;
  for (int64_t i = 0; i < outputs.shape()[0]; ++i, row += count) {
    classes += static_cast<char>('0' + (std::max_element(row, row + count) - row));
  }
  return classes;
}

TEST(ReferenceTest, QuantizedNetsPredictWhatMasePredicts) {
  const std::vector<Case> cases = Cases();
  ASSERT_GE(cases.size(), 15u);
  for (const Case& c : cases) {
    const std::string config = c.Config();
    SCOPED_TRACE(config);
    const std::string folder = NewFolder();
    ASSERT_OK(WriteFileAtomically(folder + "/config.textproto", config));
    const CommandResult transform =
        RunCommand("mase/transform", {"--config=config.textproto", "--run_dir=run"}, folder);
    ASSERT_EQ(transform.exit_code, 0) << transform.err;
    const CommandResult test =
        RunCommand("mase/test",
                   {c.net, c.is_image_net() ? "mnist" : "jsc", "--batch-size=1000",
                    "--load=run/transformed.safetensors", "--predictions=out.npy"},
                   folder);
    ASSERT_EQ(test.exit_code, 0) << test.err;
    EXPECT_EQ(Classes(ValueOrDie(ReadNpy(folder + "/out.npy"))), c.classes);
  }
}

}  // namespace
}  // namespace mase
