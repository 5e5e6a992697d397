#include "mase/formats.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/format/metrics.h"
#include "python/binding/arrays.h"
#include "python/binding/errors.h"
#include "python/binding/module.h"

namespace mase {
namespace {

namespace py = pybind11;

std::unique_ptr<const Format> FormatOf(const std::string& text) {
  return ValueOf(Format::FromText(text));
}

// What a function gives that needs no Python; other threads go on meanwhile.
template <typename Function>
auto Unlocked(const Function& function) {
  const py::gil_scoped_release unlocked;
  return function();
}

py::array Quantize(const py::object& array, const std::string& format, uint64_t seed) {
  const std::unique_ptr<const Format> made = FormatOf(format);
  const Tensor x = Float32Of(array);
  return OwnArray(ValueOf(Unlocked([&] { return made->Quantize(x, seed); })));
}

Tensor CodesOf(const Shape& shape, const std::vector<uint32_t>& codes) {
  return Tensor::FromValues<int32_t>(shape, std::vector<int32_t>(codes.begin(), codes.end()));
}

std::vector<uint32_t> CodesOf(const py::object& array) {
  const Tensor codes = TensorOf(py::module_::import("numpy").attr("asarray")(array, "int32"));
  return {codes.data<int32_t>().begin(), codes.data<int32_t>().end()};
}

py::tuple Encode(const py::object& array, const std::string& format) {
  const std::unique_ptr<const Format> made = FormatOf(format);
  const Tensor x = Float32Of(array);
  const EncodedTensor encoded = ValueOf(Unlocked([&] { return made->Encode(x); }));
  const Shape blocks = {static_cast<int64_t>(encoded.block_codes.size())};
  return py::make_tuple(OwnArray(CodesOf(encoded.shape, encoded.codes)),
                        OwnArray(CodesOf(blocks, encoded.block_codes)));
}

py::array Decode(const py::object& codes, const py::object& blocks, const std::string& format) {
  const std::unique_ptr<const Format> made = FormatOf(format);
  const EncodedTensor encoded = {TensorOf(codes).shape(), CodesOf(codes), CodesOf(blocks)};
  return OwnArray(ValueOf(Unlocked([&] { return made->Decode(encoded); })));
}

py::array Values(const std::string& format) {
  const std::vector<float> values = FormatOf(format)->Values();
  return OwnArray(Tensor::FromValues<float>({static_cast<int64_t>(values.size())}, values));
}

py::dict Error(const py::object& array, const std::string& format, uint64_t seed) {
  const std::unique_ptr<const Format> made = FormatOf(format);
  const Tensor x = Float32Of(array);
  const Tensor y = ValueOf(Unlocked([&] { return made->Quantize(x, seed); }));
  const QuantizationError error = MeasureQuantizationError(x.data<float>(), y.data<float>());
  py::dict result;
  result["format"] = FormatText(made->proto());
  result["bits"] = made->BitsPerValue(x.shape());
  result["sqnr_db"] = error.sqnr_db;
  result["max"] = error.max;
  result["mean"] = error.mean;
  result["left_out"] = error.left_out;
  return result;
}

}  // namespace

void DefineFormats(py::module_& module) {
  module.def("format_table", [] { return FamilyTable().Json(); });
  module.def("format_json",
             [](const std::string& format) { return FormatJson(*FormatOf(format)); });
  module.def("quantize", &Quantize);
  module.def("encode", &Encode);
  module.def("decode", &Decode);
  module.def("values", &Values);
  module.def("error", &Error);
  // For tests: where an array is read.
  module.def("address_of", [](const py::object& array) {
    return reinterpret_cast<uintptr_t>(Float32Of(array).raw_data());
  });
}

}  // namespace mase
