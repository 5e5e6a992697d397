// Graph inputs and outputs, and ops that only move or rename elements.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"
#include "mase/graph/slice.h"

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

// The attribute `shape` with the next scalar input in place of each kFromInput (x.view(x.size(0),
// -1)); -1 stays.
absl::StatusOr<std::vector<int64_t>> GivenExtents(Infos inputs, const Attributes& attributes) {
  constexpr int64_t kFromInput = -2;
  std::vector<int64_t> extents = attributes.Ints("shape");
  size_t next_input = 1;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == kFromInput) {
      if (next_input >= inputs.size() || !inputs[next_input].constant.has_value()) {
        return ShapeError("extent ", i, " needs an integer input known from shapes");
      }
      extents[i] = *inputs[next_input++].constant;
    }
    if (extents[i] < -1) return ShapeError("negative extent ", extents[i]);
  }
  if (next_input != inputs.size()) return ShapeError("more size inputs than extents of -2");
  return extents;
}

// -1 stands once for "whatever remains".
InfosOr ViewShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> extents, GivenExtents(inputs, attributes));
  Shape dst;
  int inferred = -1;
  int64_t known = 1;
  for (const int64_t extent : extents) {
    if (extent == -1) {
      if (inferred >= 0) return ShapeError("shape has two extents of -1");
      inferred = dst.rank();
    } else if (__builtin_mul_overflow(known, extent, &known)) {
      return ShapeError("shape overflows");
    }
    dst.push_back(extent);
  }
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

// -1 keeps the extent of the axis; new axes are in front.
InfosOr ExpandShape(Infos inputs, const Attributes& attributes) {
  const Shape& src = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(std::vector<int64_t> extents, GivenExtents(inputs, attributes));
  const int added = static_cast<int>(extents.size()) - src.rank();
  for (int i = 0; i < static_cast<int>(extents.size()); ++i) {
    if (extents[i] == -1) extents[i] = i < added ? 1 : src[i - added];
    if (added < 0 || (i >= added && src[i - added] != 1 && src[i - added] != extents[i])) {
      return ShapeError("cannot expand ", src.ToString(), " to ", AttributeToPython(extents));
    }
  }
  if (added < 0) return ShapeError("cannot expand ", src.ToString(), " to fewer axes");
  Shape dst(extents);
  MASE_RETURN_IF_ERROR(dst.Validate());
  return OneResult(inputs, std::move(dst));
}

// Elements from `start` up to `end`, which is not among them, in steps; both count from the back if
// negative and end at the axis, as in Python.
InfosOr SliceShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(int axis, NormalizeAxis(attributes.Int("dim"), dst.rank()));
  const int64_t step = attributes.Int("step");
  if (step == 0 || step == std::numeric_limits<int64_t>::min()) return ShapeError("step ", step);
  dst.set_dim(axis, SliceOf(attributes, dst[axis]).count);
  return OneResult(inputs, std::move(dst));
}

InfosOr IndexSelectShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  MASE_ASSIGN_OR_RETURN(int axis, NormalizeAxis(attributes.Int("dim"), dst.rank()));
  const std::vector<int64_t>& index = attributes.Ints("index");
  for (const int64_t i : index) {
    if (i < 0 || i >= dst[axis]) return ShapeError("index ", i, " is outside axis ", axis);
  }
  dst.set_dim(axis, static_cast<int64_t>(index.size()));
  MASE_RETURN_IF_ERROR(dst.Validate());
  return OneResult(inputs, std::move(dst));
}

// `before` and `after` have an entry for each axis; a negative one takes elements away.
InfosOr PadShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  const std::vector<int64_t>&before = attributes.Ints("before"), &after = attributes.Ints("after");
  const std::string& mode = attributes.String("mode");
  if (mode != "constant" && mode != "reflect" && mode != "replicate" && mode != "circular") {
    return ShapeError("mode '", mode, "' is none of constant, reflect, replicate, circular");
  }
  if (static_cast<int>(before.size()) != dst.rank() || before.size() != after.size()) {
    return ShapeError("before and after want ", dst.rank(), " entries each");
  }
  constexpr int64_t kMost = int64_t{1} << 31;
  for (int i = 0; i < dst.rank(); ++i) {
    if (std::max(std::abs(before[i] / 2), std::abs(after[i] / 2)) > kMost) {
      return ShapeError("padding beyond 2^32");
    }
    const int64_t added = std::max(before[i], after[i]);
    // The part of the input that repeats must have what is asked for.
    const int64_t most = mode == "reflect" ? dst[i] - 1 : dst[i] == 0 ? 0 : kMost * 2;
    if (mode != "constant" && added > 0 && added > most) {
      return ShapeError("input ", dst.ToString(), " has too little on axis ", i, " for ", mode,
                        " padding of ", added);
    }
    const int64_t extent = dst[i] + before[i] + after[i];
    if (extent < 0) return ShapeError("input ", dst.ToString(), ": nothing is left of axis ", i);
    dst.set_dim(i, extent);
  }
  MASE_RETURN_IF_ERROR(dst.Validate());
  return OneResult(inputs, std::move(dst));
}

// Rows of the table in place of ids.
InfosOr EmbeddingShape(Infos inputs, const Attributes& attributes) {
  Shape dst = inputs[0].shape;
  dst.push_back(attributes.Int("embedding_dim"));
  MASE_RETURN_IF_ERROR(dst.Validate());
  return std::vector<ValueInfo>{{DType::kFloat32, std::move(dst), std::nullopt}};
}

std::vector<ParameterSpec> EmbeddingParameters(const Attributes& attributes) {
  return {{"weight",
           {attributes.Int("num_embeddings"), attributes.Int("embedding_dim")},
           ParameterSpec::Init::kZeros}};
}

InfosOr GetAttrShape(Infos, const Attributes& attributes) {
  Shape shape(attributes.Ints("shape"));
  MASE_RETURN_IF_ERROR(shape.Validate());
  return std::vector<ValueInfo>{{DType::kFloat32, std::move(shape), std::nullopt}};
}

std::vector<ParameterSpec> GetAttrParameters(const Attributes& attributes) {
  return {{"value", Shape(attributes.Ints("shape")), ParameterSpec::Init::kZeros, 0, true}};
}

// One number for those along the axes in `dims`.
InfosOr ReducedShape(Infos inputs, const Attributes& attributes) {
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

OpSchema Reducer(absl::string_view name, absl::string_view doc) {
  OpSchema schema =
      Mover(name, doc, ReducedShape, {{"dims", std::vector<int64_t>{}, true}, {"keepdim", false}});
  schema.function_type = "builtin_func";
  schema.input_types = InputTypes::kFloat;
  schema.cost = PerElement();
  return schema;
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
  OpSchema expand = Mover(ops::kExpand, "x repeated along axes of extent 1; -1 keeps an axis",
                          ExpandShape, {{"shape", std::vector<int64_t>{}, true}});
  expand.arguments.push_back({"sizes"});
  expand.variadic = true;
  expand.optional_arguments = 1;
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
      Reducer(ops::kMean, "the mean over some axes"),
      Reducer(ops::kSum, "the sum over some axes"),
      Reducer(ops::kAmax, "the largest over some axes"),
      Reducer(ops::kAmin, "the smallest over some axes"),
      size,
      expand,
      Mover(ops::kSlice, "elements start to end of an axis, in steps", SliceShape,
            {{"dim", int64_t{0}, true},
             {"start", int64_t{0}},
             {"end", std::numeric_limits<int64_t>::max()},
             {"step", int64_t{1}}}),
      Mover(ops::kIndexSelect, "the listed elements of an axis", IndexSelectShape,
            {{"dim", int64_t{0}, true}, {"index", std::vector<int64_t>{}, true}}),
      Mover(ops::kPad, "x with elements added before and after it, along each axis", PadShape,
            {{"before", std::vector<int64_t>{}, true},
             {"after", std::vector<int64_t>{}, true},
             {"mode", std::string("constant")},
             {"value", 0.0}}),
      {.name = ops::kEmbedding,
       .doc = "the row of W that each id names",
       .module_class = "Embedding",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"num_embeddings", int64_t{0}, true}, {"embedding_dim", int64_t{0}, true}},
       .input_types = InputTypes::kIds,
       .shape_rule = EmbeddingShape,
       .parameter_rule = EmbeddingParameters,
       .repr = "{num_embeddings}, {embedding_dim}"},
      {.name = ops::kGetAttr,
       .doc = "a tensor of the graph",
       .attributes = {{"shape", std::vector<int64_t>{}, true}},
       .traits = static_cast<uint32_t>(OpTrait::kStored),
       .shape_rule = GetAttrShape,
       .parameter_rule = GetAttrParameters},
  };
}

}  // namespace mase
