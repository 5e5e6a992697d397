#include "mase/interop/torch_file.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/interop/tensor_file.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Path(absl::string_view name) { return Runfile(absl::StrCat("testdata/torch/", name)); }

SafeTensors Read(absl::string_view name) { return ValueOrDie(ReadTensorFile(Path(name))); }

std::string Bytes(absl::string_view name) { return ValueOrDie(ReadFile(Path(name), 1 << 20)); }

const Tensor& Get(const SafeTensors& contents, absl::string_view name) {
  const Tensor* tensor = contents.Find(name);
  EXPECT_NE(tensor, nullptr) << name;
  static const Tensor none;
  return tensor == nullptr ? none : *tensor;
}

TEST(TorchFileTest, NewAndOldFilesHoldTheSame) {
  for (const char* name : {"sequential.pt", "sequential_old_format.pth"}) {
    const SafeTensors contents = Read(name);
    EXPECT_THAT(contents.tensors, SizeIs(7)) << name;
    EXPECT_EQ(Get(contents, "2.weight").shape(), Shape({3, 4}));
    EXPECT_THAT(Get(contents, "2.weight").Rows(1, 2).data<float>(),
                ElementsAre(2.5f, 2.625f, 2.75f, 2.875f));
    EXPECT_THAT(Get(contents, "0.running_mean").data<float>(), ElementsAre(0, .25f, .5f, .75f));
    EXPECT_THAT(Get(contents, "0.num_batches_tracked").data<int64_t>(), ElementsAre(7));
  }
}

TEST(TorchFileTest, OtherElementTypesAreRead) {
  EXPECT_EQ(Get(Read("double.pt"), "2.bias").dtype(), DType::kFloat64);
  EXPECT_EQ(Get(Read("bfloat16.pt"), "2.bias").dtype(), DType::kBFloat16);
  const SafeTensors half = Read("half.pt");
  EXPECT_THAT(Get(half, "2.bias").data<float>(), ElementsAre(3, 3.125f, 3.25f));
  EXPECT_EQ(half.widened.at("2.bias"), "F16");
}

TEST(TorchFileTest, OfALightningCheckpointTheStateDictIsRead) {
  const SafeTensors contents = Read("lightning.ckpt");
  EXPECT_THAT(contents.tensors, SizeIs(7));
  EXPECT_THAT(Get(contents, "model.seq_blocks.2.bias").data<float>(),
              ElementsAre(3, 3.125f, 3.25f));
}

TEST(TorchFileTest, ViewsBecomeTensorsOfTheirOwn) {
  const SafeTensors contents = Read("views.pt");
  EXPECT_EQ(Get(contents, "transposed").shape(), Shape({2, 3}));
  EXPECT_THAT(Get(contents, "transposed").data<float>(), ElementsAre(1, 5, 9, 2, 6, 10));
  EXPECT_THAT(Get(contents, "part").data<float>(), ElementsAre(5, 6));
  EXPECT_THAT(Get(contents, "empty").shape(), Shape({0, 3}));
  EXPECT_THAT(Get(contents, "scalar").data<float>(), ElementsAre(2.5f));
  EXPECT_THAT(Get(contents, "int16").data<int32_t>(), ElementsAre(1, -2));
  EXPECT_THAT(Get(contents, "uint8").data<uint8_t>(), ElementsAre(1, 255));
  EXPECT_THAT(Get(contents, "bool").data<bool>(), ElementsAre(true, false));
}

TEST(TorchFileTest, AWholeModuleIsItsStateDict) {
  const SafeTensors module = Read("module.mz"), dict = Read("sequential.pt");
  ASSERT_EQ(module.tensors.size(), dict.tensors.size());
  for (const NamedTensor& tensor : dict.tensors) {
    EXPECT_TRUE(BitEqual(Get(module, tensor.name), tensor.value)) << tensor.name;
  }
}

// What MASE's save_mase_graph and `transform` write as graph_module.mz, by PyTorch 2 and 1.13.
TEST(TorchFileTest, AGraphModuleIsItsStateDict) {
  const SafeTensors dict = Read("sequential.pt");
  for (const char* name : {"graph_module.mz", "graph_module_1_13.mz"}) {
    const SafeTensors module = Read(name);
    ASSERT_EQ(module.tensors.size(), dict.tensors.size() + 1) << name;
    for (const NamedTensor& tensor : dict.tensors) {
      EXPECT_TRUE(BitEqual(Get(module, absl::StrCat("seq_blocks.", tensor.name)), tensor.value));
    }
    EXPECT_THAT(Get(module, "scale").data<float>(), ElementsAre(1, 2, 3));
  }
}

// Their fields hold MASE's own functions, in functools.partial, and the numbers of the formats.
TEST(TorchFileTest, MasesQuantizedLayersAreTheirWeights) {
  const SafeTensors dict = Read("sequential.pt");
  for (const char* name : {"quantized_module.mz", "quantized_graph_module.mz"}) {
    const SafeTensors module = Read(name);
    const char* prefix = absl::StrContains(name, "graph") ? "seq_blocks." : "";
    for (const char* tensor : {"2.weight", "2.bias"}) {
      EXPECT_TRUE(BitEqual(Get(module, absl::StrCat(prefix, tensor)), Get(dict, tensor)));
    }
    EXPECT_THAT(module.notes,
                ElementsAre(HasSubstr("2 layers are MASE's quantized (LinearInteger, "
                                      "ReLUInteger): weights are read as they were before")));
  }
}

TEST(TorchFileTest, AModuleInItselfHasAnEnd) {
  // m.modules["a"] = m, as an old file: magic, version, machine, object, keys of storages.
  const auto text = [](absl::string_view word) {
    return absl::StrCat("X", std::string(1, static_cast<char>(word.size())), std::string(3, '\0'),
                        word);
  };
  const std::string object =
      absl::StrCat("ctorch.nn.modules.module\nModule\n)\x81q", std::string(1, '\0'), "}(",
                   text("_parameters"), "}", text("_buffers"), "}", text("_modules"), "}(",
                   text("a"), "h", std::string(1, '\0'), "uub");
  const std::string bytes =
      absl::StrCat(Bytes("sequential_old_format.pth").substr(0, 15), "\x80\x02M\xe9\x03.",
                   "\x80\x02}.", "\x80\x02", object, ".", "\x80\x02].");
  EXPECT_THAT(ParseTorchFile(bytes), StatusIs(absl::StatusCode::kResourceExhausted,
                                              HasSubstr("modules in modules more than 64 deep")));
}

// {"w": a tensor over 4 floats}, as an old file, with these sizes, strides and first element.
absl::Status ReadTensorOf(const std::string& offset, const std::string& sizes,
                          const std::string& strides) {
  const auto text = [](absl::string_view word) {
    return absl::StrCat("X", std::string(1, static_cast<char>(word.size())), std::string(3, '\0'),
                        word);
  };
  const std::string storage = absl::StrCat("(", text("storage"), "ctorch\nFloatStorage\n",
                                           text("0"), text("cpu"), "K\x04tQ");
  const std::string object = absl::StrCat("}(", text("w"), "ctorch._utils\n_rebuild_tensor_v2\n(",
                                          storage, offset, sizes, strides, "\x89}tRu");
  const std::string numbers(8 + 16, '\0');
  std::string bytes =
      absl::StrCat(Bytes("sequential_old_format.pth").substr(0, 15), "\x80\x02M\xe9\x03.",
                   "\x80\x02}.", "\x80\x02", object, ".", "\x80\x02](", text("0"), "e.", numbers);
  bytes[bytes.size() - numbers.size()] = 4;
  return ParseTorchFile(bytes).status();
}

TEST(TorchFileTest, TensorsOutsideOfTheirStorageAreRefused) {
  const std::string zero("K\0", 2), two("K\x02\x85"), one("K\x01\x85");
  const std::string minus_one("J\xff\xff\xff\xff"),
      huge("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f");
  EXPECT_OK(ReadTensorOf(zero, "K\x04\x85", one));
  EXPECT_OK(ReadTensorOf("K\x02", two, one));
  EXPECT_OK(ReadTensorOf(zero, two, "K\x03\x85"));
  const auto outside = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is not in its storage"));
  EXPECT_THAT(ReadTensorOf("K\x03", two, one), outside);
  EXPECT_THAT(ReadTensorOf(zero, two, "K\x04\x85"), outside);
  EXPECT_THAT(ReadTensorOf(zero, "K\x05\x85", one), outside);
  EXPECT_THAT(ReadTensorOf(minus_one, two, one), outside);
  EXPECT_THAT(ReadTensorOf(huge, two, one), outside);
  EXPECT_THAT(ReadTensorOf(zero, two, minus_one + "\x85"), outside);
  EXPECT_THAT(ReadTensorOf(zero, two, huge + "\x85"), outside);
  // A tensor that repeats one number without end, and sizes that are none.
  EXPECT_THAT(ReadTensorOf(zero, "J\xff\xff\xff\x7f\x85", zero + "\x85"), outside);
  EXPECT_FALSE(ReadTensorOf(zero, minus_one + "\x85", one).ok());
  EXPECT_FALSE(ReadTensorOf(zero, huge + "\x85", one).ok());
  EXPECT_FALSE(ReadTensorOf(zero, huge + huge + "\x86", "K\x01K\x01\x86").ok());
}

TEST(TorchFileTest, ClassesAndCodeAreRefusedByName) {
  const auto refused = [](absl::string_view name, absl::string_view what) {
    EXPECT_THAT(ReadTensorFile(Path(name)), StatusIs(absl::StatusCode::kInvalidArgument,
                                                     AllOf(HasSubstr(name), HasSubstr(what))));
  };
  refused("evil.pt", "wants 'posix.system'");
  refused("evil_old_format.pt", "wants 'posix.system'");
  refused("custom_module.mz", "wants 'lab.nets.MyLinear'");
  refused("custom_module.mz", "torch.save(model.state_dict(), \"FILE.pt\")");
  refused("complex.pt", "wants 'torch.ComplexFloatStorage'");
  refused("no_tensors.pt", "without a dict of tensors");
}

TEST(TorchFileTest, CutFilesAreRefused) {
  for (const char* name : {"sequential.pt", "sequential_old_format.pth"}) {
    const std::string whole = Bytes(name);
    for (size_t size = 0; size < whole.size(); size += 7) {
      EXPECT_FALSE(ParseTorchFile(absl::string_view(whole).substr(0, size)).ok()) << size;
    }
  }
}

// Every byte of the old format in turn: it has no checksums, so that all reaches the machine.
TEST(TorchFileTest, ChangedBytesNeverDoHarm) {
  const std::string whole = Bytes("sequential_old_format.pth");
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x10', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      (void)ParseTorchFile(changed);
    }
  }
}

TEST(TorchFileTest, ChangedNumbersAreCaughtByTheArchivesChecksum) {
  std::string bytes = Bytes("sequential.pt");
  const size_t at = bytes.find(std::string("\0\0\x80\x3e\0\0\0\x3f", 8));  // .25, .5
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 1;
  EXPECT_THAT(ParseTorchFile(bytes), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));
}

}  // namespace
}  // namespace mase
