// The page of ONNX ops that can be read.
#ifndef MASE_ONNX_REFERENCE_H_
#define MASE_ONNX_REFERENCE_H_

#include <string>

namespace mase {

// docs/reference/onnx.md, made of the table in onnx_ops.h.
std::string OnnxReference();

}  // namespace mase

#endif  // MASE_ONNX_REFERENCE_H_
