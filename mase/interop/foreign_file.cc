#include "mase/interop/foreign_file.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace mase {
namespace {

using namespace std::string_view_literals;

constexpr absl::string_view kTorchAdvice =
    "PyTorch's own files are read; in Python,\n  torch.save(model.state_dict(), "
    "\"FILE.pt\")\nwrites "
    "one";
constexpr absl::string_view kKerasAdvice =
    "its weights go to a net of the same layers by\n  ch test LAYERS DATA --load=NET.h5\nof a file "
    "that model.save(\"NET.h5\") wrote";
constexpr absl::string_view kUnpack = "unpack it first";
constexpr absl::string_view kNumpyAdvice =
    "save its arrays under the names of the net:\n  safetensors.numpy.save_file({name: "
    "array, ...}, \"OUT.safetensors\")";

struct Kind {
  size_t at;                   // Where the signature stands.
  std::string_view signature;  // std's, whose literals may hold zero bytes.
  absl::string_view name;
  absl::string_view advice;
};

// The first that fits is the one.
constexpr Kind kKinds[] = {
    {0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes", kKerasAdvice},
    {0, "\x93NUMPY"sv, "a NumPy array (.npy)", kNumpyAdvice},
    {0, "GGUF"sv, "a GGUF file, as llama.cpp reads", "save the float weights as safetensors"},
    {4, "TFL3"sv, "a TensorFlow Lite model", "save the float weights as safetensors"},
    {0, "\x1f\x8b"sv, "compressed by gzip", kUnpack},
    {0, "BZh"sv, "compressed by bzip2", kUnpack},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     "compressed by xz", kUnpack},
    {0, "\x28\xb5\x2f\xfd"sv, "compressed by zstd", kUnpack},
    {257, "ustar"sv, "a tar archive", kUnpack},
    {0, "version https://git-lfs.github.com/"sv, "a Git LFS pointer instead of the file",
     "git lfs pull fetches it"},
};

// Kinds of zip archives, by a part of a member's name.
struct ArchiveKind {
  absl::string_view member;
  absl::string_view name;
  absl::string_view advice;
};
constexpr ArchiveKind kArchiveKinds[] = {
    {"model.weights.h5", "a Keras archive", "a file whose name ends in .keras is read as one"},
    {"", "a zip archive, but none of PyTorch's or NumPy's", kUnpack},
};

// Names of members stand at the beginning of an archive and in the directory at its end.
bool HasMember(absl::string_view bytes, absl::string_view member) {
  constexpr size_t kHead = 4096;
  constexpr size_t kDirectory = size_t{1} << 16;
  return absl::StrContains(bytes.substr(0, kHead), member) ||
         absl::StrContains(bytes.substr(bytes.size() - std::min(bytes.size(), kDirectory)), member);
}

// The protocols of today begin with their number; torch.save once wrote such files.
bool LooksLikePickle(absl::string_view bytes) {
  return bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5;
}

// ONNX has no signature. A ModelProto begins with ir_version (field 1, a small number), and then
// has the producer's name, the opset or another field with a length.
bool LooksLikeOnnx(absl::string_view bytes) {
  if (bytes.size() < 4 || bytes[0] != 0x08 || bytes[1] < 1 || bytes[1] > 32) return false;
  return absl::StrContains("\x12\x1a\x22\x32\x3a\x42", bytes.substr(2, 1));
}

bool IsText(absl::string_view bytes) {
  const absl::string_view head = bytes.substr(0, 512);
  return !head.empty() && std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return c >= 0x80 || absl::ascii_isprint(c) || absl::ascii_isspace(c);
  });
}

}  // namespace

std::string DescribeForeignFile(absl::string_view bytes) {
  const auto describe = [](absl::string_view name, absl::string_view advice) {
    return absl::StrCat("is ", name, "; ", advice);
  };
  if (absl::StartsWith(bytes, "PK\x03\x04") || absl::StartsWith(bytes, "PK\x05\x06")) {
    for (const ArchiveKind& kind : kArchiveKinds) {
      if (HasMember(bytes, kind.member)) return describe(kind.name, kind.advice);
    }
  }
  for (const Kind& kind : kKinds) {
    const absl::string_view signature(kind.signature.data(), kind.signature.size());
    if (bytes.size() >= kind.at && absl::StartsWith(bytes.substr(kind.at), signature)) {
      return describe(kind.name, kind.advice);
    }
  }
  if (LooksLikePickle(bytes)) {
    return describe("a Python pickle, which can run code when it is loaded", kTorchAdvice);
  }
  if (LooksLikeOnnx(bytes)) {
    return describe(
        "an ONNX model",
        "ch reads it as a net where its name ends in .onnx; wanted here is a checkpoint");
  }
  if (absl::StartsWithIgnoreCase(bytes, "<!doctype html") ||
      absl::StartsWithIgnoreCase(bytes, "<html")) {
    return describe("a web page", "the download gave a page instead of the file");
  }
  if (IsText(bytes)) return "is text, no checkpoint";
  return "";
}

}  // namespace mase
