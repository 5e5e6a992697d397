// Graph inputs and outputs, and ops that only move or rename elements.
#include <algorithm>
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

InfosOr PlaceholderShape(Infos, const Attributes& attributes) {
  MASE_ASSIGN_OR_RETURN(DType dtype, ParseDType(attributes.String("dtype")));
  Shape shape(attributes.Ints("shape"));
  MASE_RETURN_IF_ERROR(shape.Validate());
  return std::vector<ValueInfo>{{dtype, std::move(shape), std::nullopt}};
}

InfosOr OutputShape(Infos, const Attributes&) { return std::vector<ValueInfo>(); }

InfosOr FlattenShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  if (src.rank() == 0) return OneResult(inputs, {1});
  MASE_ASSIGN_OR_RETURN(int first, NormalizeAxis(attributes.Int("start_dim"), src.rank()));
  MASE_ASSIGN_OR_RETURN(int last, NormalizeAxis(attributes.Int("end_dim"), src.rank()));
  if (first > last) return ShapeError("start_dim ", first, " is after end_dim ", last);
  Shape dst;
  for (int i = 0; i < src.rank(); ++i) {
    if (i > first && i <= last) {
      dst.set_dim(-1, dst[-1] * src[i]);
    } else {
      dst.push_back(src[i]);
    }
  }
  return OneResult(inputs, std::move(dst));
}

// `shape` gives the extents: -1 once for "whatever remains"; kFromInput for the
// next scalar input (x.view(x.size(0), -1)).
InfosOr ViewShape(Infos inputs, const Attributes& attributes) {
  constexpr int64_t kFromInput = -2;
  const Shape& src = inputs[0].shape;
  Shape dst;
  size_t next_input = 1;
  int inferred = -1;
  int64_t known = 1;
  for (int64_t extent : attributes.Ints("shape")) {
    if (extent == kFromInput) {
      if (next_input >= inputs.size() || !inputs[next_input].constant.has_value()) {
        return ShapeError("extent ", dst.rank(), " needs an integer input known from shapes");
      }
      extent = *inputs[next_input++].constant;
    }
    if (extent == -1) {
      if (inferred >= 0) return ShapeError("shape has two extents of -1");
      inferred = dst.rank();
    } else {
      if (extent < 0) return ShapeError("negative extent ", extent);
      if (__builtin_mul_overflow(known, extent, &known)) return ShapeError("shape overflows");
    }
    dst.push_back(extent);
  }
  if (next_input != inputs.size()) return ShapeError("more size inputs than extents of -2");
  const int64_t elements = src.elements();
  if (inferred >= 0) {
    if (known == 0 || elements % known != 0) {
      return ShapeError("cannot view ", src.ToString(), " as ", dst.ToString());
    }
    dst.set_dim(inferred, elements / known);
  } else if (known != elements) {
    return ShapeError("cannot view ", src.ToString(), " as ", dst.ToString());
  }
  MASE_RETURN_IF_ERROR(dst.Validate());
  return OneResult(inputs, std::move(dst));
}

InfosOr PermuteShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  const std::vector<int64_t>& dims = attributes.Ints("dims");
  std::vector<int64_t> sorted;
  Shape dst;
  for (int64_t axis : dims) {
    MASE_ASSIGN_OR_RETURN(int normalized, NormalizeAxis(axis, src.rank()));
    sorted.push_back(normalized);
    dst.push_back(src[normalized]);
  }
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<int64_t>(i)) {
      return ShapeError("dims ", AttributeToPython(dims), " is no permutation");
    }
  }
  if (dst.rank() != src.rank()) {
    return ShapeError("dims ", AttributeToPython(dims), " for input ", src.ToString());
  }
  return OneResult(inputs, std::move(dst));
}

InfosOr TransposeShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(int a, NormalizeAxis(attributes.Int("dim0"), dst.rank()));
  MASE_ASSIGN_OR_RETURN(int b, NormalizeAxis(attributes.Int("dim1"), dst.rank()));
  const int64_t extent = dst[a];
  dst.set_dim(a, dst[b]);
  dst.set_dim(b, extent);
  return OneResult(inputs, std::move(dst));
}

InfosOr CatShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(int axis, NormalizeAxis(attributes.Int("dim"), dst.rank()));
  for (const ValueInfo& input : inputs.subspan(1)) {
    Shape other = input.shape;
    if (other.rank() != dst.rank()) {
      return ShapeError("cannot join ", dst.ToString(), " and ", other.ToString());
    }
    const int64_t extent = other[axis];
    other.set_dim(axis, dst[axis]);
    if (other != dst) {
      return ShapeError("cannot join ", dst.ToString(), " and ", input.shape.ToString());
    }
    dst.set_dim(axis, dst[axis] + extent);
  }
  MASE_RETURN_IF_ERROR(dst.Validate());
  return OneResult(inputs, std::move(dst));
}

// Mean over the axes in `dims`.
InfosOr MeanShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  std::vector<bool> reduced(src.rank(), false);
  for (int64_t axis : attributes.Ints("dims")) {
    MASE_ASSIGN_OR_RETURN(int normalized, NormalizeAxis(axis, src.rank()));
    reduced[normalized] = true;
  }
  Shape dst;
  for (int i = 0; i < src.rank(); ++i) {
    if (!reduced[i]) {
      dst.push_back(src[i]);
    } else if (attributes.Bool("keepdim")) {
      dst.push_back(1);
    }
  }
  return OneResult(inputs, std::move(dst));
}

// x.size(dim): an integer scalar that follows from the shape.
InfosOr SizeShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(int axis, NormalizeAxis(attributes.Int("dim"), src.rank()));
  return std::vector<ValueInfo>{{DType::kInt64, Shape(), src[axis]}};
}

OpSchema Mover(absl::string_view name, absl::string_view doc, ShapeRule shape_rule,
               std::vector<AttributeSpec> attributes) {
  return {.name = name,
          .doc = doc,
          .function_type = "implicit_func",
          .arguments = {{"input"}},
          .attributes = std::move(attributes),
          .input_types = InputTypes::kAny,
          .shape_rule = shape_rule};
}

OpSchema Viewer(absl::string_view name) {
  OpSchema schema = Mover(name, "x under another shape; -1 is what remains", ViewShape,
                          {{"shape", std::vector<int64_t>{}, true}});
  schema.traits = static_cast<uint32_t>(OpTrait::kRenames);
  schema.arguments.push_back({"sizes"});
  schema.variadic = true;
  schema.optional_arguments = 1;
  return schema;
}

}  // namespace

std::vector<OpSchema> ShapeOps() {
  OpSchema flatten = Mover(ops::kFlatten, "axes start_dim to end_dim joined into one", FlattenShape,
                           {{"start_dim", int64_t{1}}, {"end_dim", int64_t{-1}}});
  flatten.traits = static_cast<uint32_t>(OpTrait::kRenames);
  flatten.module_class = "Flatten";
  flatten.module_type = "module_related_func";
  flatten.repr = "start_dim={start_dim}, end_dim={end_dim}";
  OpSchema cat = Mover(ops::kCat, "the inputs one after another along an axis", CatShape,
                       {{"dim", int64_t{0}}});
  cat.arguments = {{"tensors"}};
  cat.variadic = true;
  OpSchema mean = Mover(ops::kMean, "the mean over some axes", MeanShape,
                        {{"dims", std::vector<int64_t>{}, true}, {"keepdim", false}});
  mean.function_type = "builtin_func";
  mean.input_types = InputTypes::kFloat;
  mean.cost = PerElement();
  OpSchema size =
      Mover(ops::kSize, "the extent of an axis", SizeShape, {{"dim", int64_t{0}, true}});
  size.traits = static_cast<uint32_t>(OpTrait::kFromShapes);
  return {
      {.name = ops::kPlaceholder,
       .doc = "an input of the graph",
       .attributes = {{"shape", std::vector<int64_t>{}, true}, {"dtype", std::string("float32")}},
       .shape_rule = PlaceholderShape},
      {.name = ops::kOutput,
       .doc = "the results of the graph",
       .arguments = {{"result"}},
       .variadic = true,
       .results = 0,
       .input_types = InputTypes::kAny,
       .shape_rule = OutputShape},
      flatten,
      Viewer(ops::kView),
      Viewer(ops::kReshape),
      Mover(ops::kPermute, "axes in another order", PermuteShape,
            {{"dims", std::vector<int64_t>{}, true}}),
      Mover(ops::kTranspose, "two axes exchanged", TransposeShape,
            {{"dim0", int64_t{0}, true}, {"dim1", int64_t{0}, true}}),
      cat,
      mean,
      size,
  };
}

}  // namespace mase
