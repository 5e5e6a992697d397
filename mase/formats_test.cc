// The program, as a user runs it.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/format/format.h"
#include "mase/interop/npy.h"
#include "mase/testing/command.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

CommandResult Formats(const std::vector<std::string>& arguments, const std::string& folder) {
  return RunCommand("mase/formats", arguments, folder);
}

class FormatsTest : public testing::Test {
 protected:
  FormatsTest() {
    const Tensor x =
        Tensor::FromValues<float>({2, 4}, {0.3, -1.2, 0.05, 0, 0.6, -0.61, 0.9, 0.001});
    EXPECT_TRUE(WriteNpy(folder_ + "/x.npy", x).ok());
    EXPECT_TRUE(WriteNpy(folder_ + "/i.npy", Tensor::FromValues<int32_t>({1}, {1})).ok());
  }
  Tensor Read(const std::string& name) {
    auto tensor = ReadNpy(folder_ + "/" + name);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return *tensor;
  }
  Tensor Expected(absl::string_view format) {
    return *(*Format::FromText(format))->Quantize(Read("x.npy"));
  }

  const std::string folder_ = NewFolder();
};

TEST_F(FormatsTest, ListsAndDescribes) {
  CommandResult result = Formats({"list"}, folder_);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("minifloat_ieee"), HasSubstr("msfp"), HasSubstr("MXInt")));
  result = Formats({"describe", "integer"}, folder_);
  EXPECT_THAT(result.out, AllOf(HasSubstr("step 0.0625"), HasSubstr("frac_width"),
                                HasSubstr("precision [8, 4]")));
  result = Formats({"describe", "flexround"}, folder_);
  EXPECT_THAT(result.out, AllOf(HasSubstr("kind: fixed point; semantics: exact, reference\n"),
                                HasSubstr("ops: linear, conv1d, conv2d alone\n"),
                                HasSubstr("learned in the paper's training: s1 (s1_init)\n")));
  result = Formats({"describe", "affine"}, folder_);
  EXPECT_THAT(result.out, HasSubstr("semantics: exact\n"));
  result = Formats({"--help"}, folder_);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("--semantics=reference"));
}

TEST_F(FormatsTest, SemanticsDecideWhatTheTextMaySay) {
  const std::string minifloat = "minifloat_ieee { width: 5 exponent_width: 4 }";
  EXPECT_EQ(Formats({"describe", minifloat}, folder_).exit_code, 2);
  CommandResult result = Formats({"describe", minifloat, "--semantics=reference"}, folder_);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  // The other way round: what only EXACT may say.
  result = Formats({"describe", "integer { width: 8 } rounding: CEILING semantics: REFERENCE",
                    "--semantics=exact"},
                   folder_);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(FormatsTest, TabulatesEveryCode) {
  const CommandResult result = Formats({"table", "integer { width: 2 frac_width: 1 }"}, folder_);
  EXPECT_THAT(result.out, AllOf(HasSubstr("0x02"), HasSubstr("-0.5"), HasSubstr("0x01")));
  EXPECT_EQ(Formats({"table", "integer { width: 20 }"}, folder_).exit_code, 2);
}

TEST_F(FormatsTest, QuantizesSeveralFilesInOneCall) {
  const CommandResult result = Formats(
      {"quantize", "--format=block_fp { width: 4 block_size: [1, 4] }", "--semantics=reference",
       "--in=x.npy", "--in", "x.npy", "--out=y.npy", "--out=z.npy"},
      folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Tensor want = Expected("block_fp { width: 4 block_size: [1, 4] } semantics: REFERENCE");
  EXPECT_TRUE(BitEqual(Read("y.npy"), want));
  EXPECT_TRUE(BitEqual(Read("z.npy"), want));
}

TEST_F(FormatsTest, ReadsWhatNumPyWritesAndSaysWhatItRounds) {
  const CommandResult result = Formats({"quantize", "--format=integer { width: 8 frac_width: 4 }",
                                        "--in=" + Runfile("testdata/readers/float64.npy"),
                                        "--in=" + Runfile("testdata/readers/fortran.npy"),
                                        "--in=i.npy", "--out=a.npy", "--out=b.npy", "--out=c.npy"},
                                       folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err,
              AllOf(StartsWith("INFO     "),
                    HasSubstr("float64.npy: float64, 48 of 48 values rounded to float32")));
  EXPECT_EQ(Read("b.npy").shape(), Shape({6, 8}));
  EXPECT_THAT(Read("c.npy").data<float>(), testing::ElementsAre(1));
}

TEST_F(FormatsTest, EncodesAndDecodesWithBlockCodes) {
  const std::string format = "--format=block_fp { width: 4 block_size: 4 }";
  CommandResult result = Formats({"encode", format, "--in=x.npy", "--out=c.npy"}, folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Read("c.npy").shape(), Shape({2, 4}));
  EXPECT_EQ(Read("c.blocks.npy").shape(), Shape({2}));
  result = Formats({"decode", format, "--in=c.npy", "--out=d.npy"}, folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(BitEqual(Read("d.npy"), Expected("block_fp { width: 4 block_size: 4 }")));
}

TEST_F(FormatsTest, ComparesErrorsAndPlots) {
  const CommandResult result =
      Formats({"error", "--in=x.npy", "--plot=e.svg", "integer", "mxfp"}, folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("SQNR (dB)"), HasSubstr("###")));
  EXPECT_THAT(*ReadFile(folder_ + "/e.svg", 1 << 20), HasSubstr("<svg"));
}

TEST_F(FormatsTest, InfiniteErrorsAreErrorsAndInfiniteInputsLeftOut) {
  const float inf = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(
      WriteNpy(folder_ + "/huge.npy", Tensor::FromValues<float>({4}, {1, 1e6, inf, -inf})).ok());
  const CommandResult result = Formats(
      {"error", "--in=huge.npy",
       "minifloat { exponent_width: 5 frac_width: 2 is_finite: false } overflow: TO_INFINITY"},
      folder_);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("huge.npy [4], without 2 not finite values\n"));
  EXPECT_THAT(result.out, HasSubstr("     -inf      inf       inf\n"));
}

TEST_F(FormatsTest, RefusesInOneLineWithExitCode2) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } kRows[] = {
      {{}, "no command"},
      {{"list", "--formt=integer"}, "unknown flag --formt; did you mean '--format'?"},
      {{"list", "--seed=abc"}, "--seed: want an integer"},
      {{"list", "--seed"}, "--seed: needs a value"},
      {{"list", "-x"}, "unknown flag -x"},
      {{"-"}, "unknown command '-'"},
      {{"lst"}, "unknown command 'lst'; did you mean 'list'?"},
      {{"describe", "intger"}, "unknown format 'intger'; did you mean 'integer'?"},
      {{"describe"}, "describe takes one format, not 0"},
      {{"quantize", "--in=x.npy", "--out=y.npy"}, "no format"},
      {{"quantize", "--format=integer", "--in=x.npy"}, "1 --in and 0 --out"},
      {{"quantize", "--format=integer", "x.npy"}, "'x.npy' is no flag"},
      {{"quantize", "--format=integer { width: 0 }", "--in=x.npy", "--out=y.npy"},
       "integer: width 0, allowed 1 to 32"},
      {{"quantize", "--format=integer", "--semantics=odd", "--in=x.npy", "--out=y.npy"},
       "--semantics: 'odd' is none of "},
      {{"quantize", "--format=integer", "--in=none.npy", "--out=y.npy"}, "none.npy"},
      {{"decode", "--format=integer", "--in=x.npy", "--out=y.npy"},
       "is no code; codes are whole numbers"},
      {{"error", "integer"}, "error needs --in=x.npy"},
  };
  for (const auto& row : kRows) {
    const CommandResult result = Formats(row.arguments, folder_);
    EXPECT_EQ(result.exit_code, 2) << row.message;
    EXPECT_THAT(result.err, AllOf(StartsWith("ERROR    "), HasSubstr(row.message)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(FormatsTest, DamagedCodesOfBlocksAreNotThoseOfNoBlocks) {
  const std::string format = "--format=block_fp { width: 4 block_size: 4 }";
  ASSERT_EQ(Formats({"encode", format, "--in=x.npy", "--out=c.npy"}, folder_).exit_code, 0);
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/c.blocks.npy", "PK not npy").ok());
  CommandResult result = Formats({"decode", format, "--in=c.npy", "--out=d.npy"}, folder_);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("c.blocks.npy"));
  EXPECT_THAT(result.err, HasSubstr("not an .npy file"));
}

TEST_F(FormatsTest, ADamagedFileIsRefusedWithExitCode4) {
  ASSERT_TRUE(WriteFileAtomically(folder_ + "/bad.npy", "PK not npy").ok());
  const CommandResult result =
      Formats({"quantize", "--format=integer", "--in=bad.npy", "--out=y.npy"}, folder_);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("not an .npy file"));
}

}  // namespace
}  // namespace mase
