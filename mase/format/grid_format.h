// Element-wise formats: every element is rounded to the same Grid.
#ifndef MASE_FORMAT_GRID_FORMAT_H_
#define MASE_FORMAT_GRID_FORMAT_H_

#include <memory>
#include <utility>
#include <vector>

#include "mase/format/grid.h"
#include "mase/format/stream.h"

namespace mase {

class GridFormat : public Format {
 public:
  GridFormat(const FormatProto& proto, const Grid& grid, const Policy& policy)
      : Format(proto), grid_(grid.Shifted(0)), policy_(policy) {
    inside_from_ = Reach(0x80000000);
    inside_to_ = Reach(0);
  }

  int code_bits() const override { return grid_.bits; }
  double BitsPerValue(const Shape&) const override { return grid_.bits; }
  double lowest() const override { return grid_.lowest; }
  double highest() const override { return grid_.highest; }
  double step() const override { return grid_.Step(); }
  std::vector<float> Values() const override { return grid_.Values(); }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t seed) const override;
  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override;
  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override;
  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override;

 private:
  // The farthest from zero, with this sign bit, that does not saturate.
  float Reach(uint32_t sign) const;

  const Grid grid_;
  const Policy policy_;
  float inside_from_ = 0, inside_to_ = 0;  // The farthest values that do not saturate.
};

// The REFERENCE of an element-wise family: MASE's arithmetic on the same grid's codes. `Op` maps
// one float to one float, inline.
template <typename Op>
class ReferenceElementFormat final : public GridFormat {
 public:
  ReferenceElementFormat(const FormatProto& proto, const Grid& grid, const Op& op)
      : GridFormat(proto, grid, Policy()), op_(op) {}

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    MapElements(op_, src, dst, shape.elements());
    return absl::OkStatus();
  }

 private:
  const Op op_;
};

template <typename Op>
std::unique_ptr<const Format> MakeReferenceElementFormat(const FormatProto& proto, const Grid& grid,
                                                         const Op& op) {
  return std::make_unique<ReferenceElementFormat<Op>>(proto, grid, op);
}

}  // namespace mase

#endif  // MASE_FORMAT_GRID_FORMAT_H_
