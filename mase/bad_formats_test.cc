// Configs with formats that cannot be, and tensors that MASE's formats cannot take: transform says
// which node, operand, format and field, what was given and what is allowed, and ends with 2.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

struct BadCase {
  std::string op;
  std::string config;  // TOML; those below hold the rest.
  std::string message;
};

// Everything that an integer linear layer needs but the weight's keys, and the same for block_fp.
constexpr char kInteger[] =
    "name = 'integer'\ndata_in_width = 8\ndata_in_frac_width = 4\nbias_width = 8\n";
constexpr char kBlockFp[] =
    "name = 'block_fp'\ndata_in_width = 8\ndata_in_exponent_width = 8\ndata_in_block_size = [16]\n"
    "bias_width = 8\nbias_exponent_width = 8\nbias_block_size = [16]\n"
    "weight_width = 8\nweight_exponent_width = 8\n";

std::string Refusal(const BadCase& bad, absl::string_view semantics) {
  const std::string folder = NewFolder();
  const std::string config = absl::StrCat(
      "model = 'jsc-tiny'\nload_name = '", Runfile("testdata/checkpoints/jsc-tiny.safetensors"),
      "'\ndataset = 'jsc'\nbatch_size = 256\n[passes.quantize]\nsemantics = '", semantics,
      "'\n[passes.quantize.", bad.op, ".config]\n", bad.config, "\n");
  EXPECT_OK(WriteFileAtomically(folder + "/c.toml", config));
  const CommandResult run =
      RunCommand("mase/transform", {"--config=c.toml", "--run_dir=run"}, folder);
  EXPECT_EQ(run.exit_code, 2) << config << run.err;
  return run.err;
}

TEST(BadFormatsTest, FieldsOutOfRangeAreNamedWithWhatIsAllowed) {
  const std::string integer = kInteger, block_fp = kBlockFp;
  const std::vector<BadCase> cases = {
      {"linear", integer + "weight_width = 0", "linear: weight: integer: width 0, allowed 1 to 32"},
      {"linear", integer + "weight_width = 33", "width 33, allowed 1 to 32"},
      {"linear", integer + "weight_width = 8.5", "weight.width: want an integer, got 8.5"},
      {"linear", integer + "weight_width = 8\nweight_frac_width = 4000",
       "linear: weight: integer: frac_width 4000, allowed -119 to 126"},
      {"linear", integer + "weight_width = 8\nweight_frac_width = 99999999999",
       "weight.frac_width: want an integer from -2147483648 to 2147483647, got 99999999999"},
      {"linear", integer + "weight_width = 8\nweight_name = 'ternery'", "did you mean 'ternary'?"},
      {"linear", block_fp + "weight_block_size = [0]",
       "linear: weight: block_fp: block_size 0, allowed -1 or 1 and more"},
      {"linear", block_fp + "weight_block_size = [1, -2]",
       "weight: block_fp: block_size -2, allowed"},
      {"relu", "name = 'log'\ndata_in_width = 1", "relu: data_in: log: width 1, allowed 2 to 9"},
      {"relu", "name = 'log'\ndata_in_width = 8\ndata_in_exponent_bias = 500",
       "log: exponent_bias 500, allowed -126 to 149"},
      {"relu", "name = 'minifloat_ieee'\ndata_in_width = 8\ndata_in_exponent_width = 0",
       "minifloat_ieee: exponent_width 0, allowed 1 to 8"},
      {"relu", "name = 'mxint'\ndata_in_width = 8\ndata_in_block_size = [0]",
       "relu: data_in: mxint: block_size 0, allowed"},
      {"relu", "name = 'mxint'\ndata_in_width = 8\ndata_in_block_size = [4, 4]",
       "mxint takes one number for data_in_block_size"},
      {"relu", "name = 'flexround'\ndata_in_width = 8",
       "there is no relu in flexround, only linear, conv1d, conv2d"},
  };
  for (const BadCase& bad : cases) EXPECT_THAT(Refusal(bad, "exact"), HasSubstr(bad.message));
}

TEST(BadFormatsTest, TensorsThatMaseCannotTakeAreNamed) {
  const std::string tiles =
      "name = 'mxint'\ndata_in_width = 8\ndata_in_block_size = [16]\n"
      "bias_width = 8\nbias_block_size = [5]\nweight_width = 8\n";
  const std::vector<BadCase> cases = {
      {"linear", "name = 'ternary'\nweight_scaling_factor = false",
       "seq_blocks_2 (linear): weight: ternary with REFERENCE semantics: a tensor of shape [5, "
       "16]; "
       "MASE takes rank 4 alone"},
      {"linear", tiles + "weight_block_size = [7]",
       "seq_blocks_2 (linear): weight: mxint with REFERENCE semantics: block_size 7 does not "
       "divide "
       "the 80 elements of [5, 16]"},
      {"batch_norm1d", "name = 'log'\ndata_in_width = 8",
       "seq_blocks_0 (batch_norm1d): REFERENCE semantics: MASE's batch_norm1d module cannot be "
       "quantized in log, only in integer"},
  };
  for (const BadCase& bad : cases) EXPECT_THAT(Refusal(bad, "reference"), HasSubstr(bad.message));
}

}  // namespace
}  // namespace mase
