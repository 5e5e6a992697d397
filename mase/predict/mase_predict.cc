#include "mase/predict/mase_predict.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "mase/base/quote.h"
#include "mase/predict/predictor.h"

struct mase_predictor {
  std::unique_ptr<mase::Predictor> predictor;
};

namespace mase {
namespace {

// The codes of the header.
int CodeOf(const absl::Status& status) {
  switch (const int code = static_cast<int>(status.code())) {
    case MASE_OK:
    case MASE_INVALID_ARGUMENT:
    case MASE_NOT_FOUND:
    case MASE_RESOURCE_EXHAUSTED:
    case MASE_OUT_OF_RANGE:
    case MASE_UNIMPLEMENTED:
    case MASE_UNAVAILABLE:
    case MASE_DATA_LOSS:
      return code;
    default:
      return MASE_INTERNAL;
  }
}

// Of `text` as much as fits.
void Write(absl::string_view text, char* message, size_t size) {
  if (message == nullptr || size == 0) return;
  size_t length = std::min(text.size(), size - 1);
  // A character of UTF-8 is written whole or not at all.
  const auto continues = [&text](size_t at) { return (text[at] & '\xc0') == '\x80'; };
  while (length > 0 && length < text.size() && continues(length)) --length;
  std::memcpy(message, text.data(), length);
  message[length] = 0;
}

int Report(const absl::Status& status, char* message, size_t size) {
  try {
    Write(PrintableMessage(status.message()), message, size);
  } catch (const std::bad_alloc&) {
    Write("out of memory", message, size);
  }
  return CodeOf(status);
}

// What `body` says; an exception, which must not cross into C, is an error as others.
template <typename Body>
int Guard(char* message, size_t size, const Body& body) {
  try {
    const absl::Status status = body();
    if (status.ok()) [[likely]]
      return MASE_OK;
    return Report(status, message, size);
  } catch (const std::bad_alloc&) {
    return Report(absl::ResourceExhaustedError("out of memory"), message, size);
  } catch (const std::exception& error) {
    return Report(absl::InternalError(error.what()), message, size);
  } catch (...) {
    return Report(absl::InternalError("an exception of an unknown type"), message, size);
  }
}

const char* NameAt(const std::vector<std::string>& names, int64_t index) {
  return index >= 0 && index < static_cast<int64_t>(names.size()) ? names[index].c_str() : nullptr;
}

}  // namespace
}  // namespace mase

int mase_predictor_load(const char* path, int execution, mase_predictor** predictor, char* message,
                        size_t message_size) {
  return mase::Guard(message, message_size, [&]() -> absl::Status {
    if (predictor == nullptr) return absl::InvalidArgumentError("predictor is null");
    *predictor = nullptr;
    if (path == nullptr) return absl::InvalidArgumentError("path is null");
    mase::PredictorOptions options;
    switch (execution) {
      case MASE_FLOAT:
        options.execution = mase::Execution::kFloat;
        break;
      case MASE_SIMULATED:
        options.execution = mase::Execution::kSimulated;
        break;
      case MASE_INTEGER:
        options.execution = mase::Execution::kInteger;
        break;
      default:
        return absl::InvalidArgumentError(
            "execution is none of MASE_FLOAT, MASE_SIMULATED and MASE_INTEGER");
    }
    auto loaded = mase::Predictor::Load(path, options);
    if (!loaded.ok()) return loaded.status();
    *predictor = new mase_predictor{*std::move(loaded)};
    return absl::OkStatus();
  });
}

void mase_predictor_free(mase_predictor* predictor) { delete predictor; }

int64_t mase_predictor_inputs(const mase_predictor* predictor) {
  return predictor == nullptr ? 0 : predictor->predictor->inputs();
}

int64_t mase_predictor_outputs(const mase_predictor* predictor) {
  return predictor == nullptr ? 0 : predictor->predictor->outputs();
}

const char* mase_predictor_feature_name(const mase_predictor* predictor, int64_t index) {
  return predictor == nullptr ? nullptr
                              : mase::NameAt(predictor->predictor->feature_names(), index);
}

const char* mase_predictor_class_name(const mase_predictor* predictor, int64_t index) {
  return predictor == nullptr ? nullptr : mase::NameAt(predictor->predictor->class_names(), index);
}

int mase_predict(const mase_predictor* predictor, const float* in, int64_t rows, float* out,
                 char* message, size_t message_size) {
  return mase::Guard(message, message_size, [&]() -> absl::Status {
    if (predictor == nullptr || (rows > 0 && (in == nullptr || out == nullptr))) [[unlikely]] {
      return absl::InvalidArgumentError("predictor, in or out is null");
    }
    const mase::Predictor& net = *predictor->predictor;
    const int64_t widest = std::max<int64_t>({net.inputs(), net.outputs(), 1});
    if (rows < 0 || rows > INT64_MAX / widest) [[unlikely]] {
      return absl::InvalidArgumentError("rows is negative or too large");
    }
    return net.Predict({in, static_cast<size_t>(rows * net.inputs())},
                       {out, static_cast<size_t>(rows * net.outputs())});
  });
}
