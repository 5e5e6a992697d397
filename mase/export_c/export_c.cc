#include "mase/export_c/export_c.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/integer_plan.h"
#include "mase/export_c/c_text.h"
#include "mase/export_c/c_writer.h"
#include "mase/graph/shape_inference.h"
#include "mase/predict/predictor.h"

namespace mase {
namespace {

constexpr int64_t kTestRows = 64;

// Words that C or C++ keep for themselves, and the name of a program's own function.
constexpr absl::string_view kReserved[] = {
    "alignas", "alignof",   "and",      "asm",      "auto",     "bool",     "break",    "case",
    "catch",   "char",      "class",    "const",    "continue", "default",  "delete",   "do",
    "double",  "else",      "enum",     "explicit", "export",   "extern",   "false",    "float",
    "for",     "friend",    "goto",     "if",       "inline",   "int",      "long",     "main",
    "mutable", "namespace", "new",      "noexcept", "not",      "nullptr",  "operator", "or",
    "private", "protected", "public",   "register", "requires", "restrict", "return",   "short",
    "signed",  "sizeof",    "static",   "struct",   "switch",   "template", "this",     "throw",
    "true",    "try",       "typedef",  "typeid",   "typename", "union",    "unsigned", "using",
    "virtual", "void",      "volatile", "wchar_t",  "while",    "xor"};

constexpr absl::string_view kPreamble =
    "#if (-1 >> 1) != -1\n#error \"needs a shift of negative numbers that keeps the "
    "sign\"\n#endif\n"
    "#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)\n#error \"needs floats that are computed "
    "as "
    "they are written: no x87, no -ffast-math\"\n#endif\n"
    "/* Tables and codes of bytes. Processors with vectors multiply 16 bits, for twice the memory. "
    "*/\n"
    "#if defined(__x86_64__) || defined(__aarch64__)\n"
    "typedef int16_t weight8_t, code8_t, ucode8_t;\n#else\n"
    "typedef int8_t weight8_t, code8_t;\ntypedef uint8_t ucode8_t;\n#endif\n\n";

bool IsWordCharacter(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Whether the text has `name` as a word.
bool Uses(absl::string_view text, absl::string_view name) {
  for (size_t at = text.find(name); at != absl::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !IsWordCharacter(text[at - 1])) &&
        (end == text.size() || !IsWordCharacter(text[end]))) {
      return true;
    }
  }
  return false;
}

absl::Status CheckName(absl::string_view name) {
  const bool word = !name.empty() && absl::ascii_isalpha(name[0]) && name.size() <= 63 &&
                    absl::c_all_of(name, IsWordCharacter);
  if (word && !absl::c_linear_search(kReserved, name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", name, "' is no name of a C function",
      word ? ", but a word of the language; choose another" : "; use letters, digits and '_'"));
}

// The files around the body.
CProgram Files(const CWriter& writer, const std::string& name) {
  CProgram program;
  const CValue &result = writer.result(), &codes = writer.codes();
  program.inputs = writer.input().count();
  program.outputs = result.count();
  program.on_codes = writer.on_codes();
  program.constant_bytes = writer.constant_bytes();
  program.stack_bytes = writer.BufferBytes();
  const std::string upper = absl::AsciiStrToUpper(name);
  const std::string scale = result.whole ? CFloat(std::ldexp(1.0f, result.unit)) : "1.0f";
  const std::string result_type = result.bound < (int64_t{1} << 31) ? "int32_t" : "int64_t";

  std::string& header = program.header;
  absl::StrAppend(&header,
                  "/* Written by `ch export c`: a net without floats between its layers, for any "
                  "C99 compiler. */\n"
                  "#ifndef ",
                  upper, "_H_\n#define ", upper,
                  "_H_\n\n#include <stdint.h>\n\n"
                  "#define ",
                  upper, "_INPUTS ", program.inputs, "\n#define ", upper, "_OUTPUTS ",
                  program.outputs, "\n\n");
  absl::StrAppend(&header,
                  "/* Writes the results of one row to y. 0, or -1 where x has a NaN. */\nint ",
                  name, "(const float x[", upper, "_INPUTS], float y[", upper, "_OUTPUTS]);\n");
  if (program.on_codes) {
    absl::StrAppend(&header, "\n/* The same from codes, whole numbers of ", upper,
                    "_CODE_SCALE, without a float: results\n"
                    "   are whole numbers of ",
                    upper,
                    "_RESULT_SCALE. */\n"
                    "#define ",
                    upper, "_CODES ", codes.count(),
                    "\n"
                    "#define ",
                    upper, "_CODE_SCALE ", CFloat(std::ldexp(1.0f, codes.unit)),
                    "\n"
                    "#define ",
                    upper, "_RESULT_SCALE ", scale,
                    "\n"
                    "void ",
                    name, "_codes(const ", codes.buffer->type, " c[", upper, "_CODES], ",
                    result_type, " y[", upper, "_OUTPUTS]);\n");
  }
  absl::StrAppend(&header, "\n#endif\n");

  std::string& source = program.source;
  absl::StrAppend(&source, "/* Written by `ch export c`. */\n#include <float.h>\n\n#include \"",
                  name, ".h\"\n\n", kPreamble, writer.Definitions(), "\n");
  const std::string store = absl::StrCat("  for (i = 0; i < ", program.outputs, "; ++i) y[i] = ");
  if (program.on_codes) {
    // The first array of codes is the argument.
    absl::StrAppend(&source, "void ", name, "_codes(const ", codes.buffer->type, " ", codes.name(),
                    "[", upper, "_CODES], ", result_type, " y[", upper, "_OUTPUTS]) {\n",
                    writer.Behind(), store, result.at("i"), ";\n}\n\n");
    absl::StrAppend(&source, "int ", name, "(const float x[", upper, "_INPUTS], float y[", upper,
                    "_OUTPUTS]) {\n  ", result_type, " whole[", upper, "_OUTPUTS];\n",
                    writer.Front(), "  ", name, "_codes(", codes.name(), ", whole);\n", store,
                    "(float)whole[i] * ", upper, "_RESULT_SCALE;\n  return 0;\n}\n");
    program.stack_bytes += program.outputs * CSizeOf(result_type);
  } else {
    absl::StrAppend(
        &source, "int ", name, "(const float x[", upper, "_INPUTS], float y[", upper,
        "_OUTPUTS]) {\n", writer.Whole(), store,
        result.whole ? absl::StrCat("(float)", result.at("i"), " * ", scale) : result.at("i"),
        ";\n  return 0;\n}\n");
  }
  return program;
}

// A main() that compares rows with what the integer run made of them. $0 is the name, $4 in
// capitals.
constexpr absl::string_view kTestMain =
    "/* Written by `ch export c`: rows, and what the integer run of mase made of them. */\n"
    "#include <stdio.h>\n#include <string.h>\n\n#include \"$0.h\"\n\n"
    "#define ROWS $1\n\n$2$3\n"
    "int main(void) {\n  int row, differ = 0;\n  for (row = 0; row < ROWS; ++row) {\n"
    "    float y[$4_OUTPUTS];\n"
    "    if ($0($0_rows + row * $4_INPUTS, y) != 0 ||\n"
    "        memcmp(y, $0_results + row * $4_OUTPUTS, sizeof(y)) != 0) ++differ;\n  }\n"
    "  printf(\"%d of %d rows are equal, bit for bit\\n\", ROWS - differ, ROWS);\n"
    "  return differ != 0;\n}\n";

absl::StatusOr<std::string> TestOf(const Graph& graph, const CProgram& program,
                                   const std::string& name) {
  MASE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Predictor> predictor,
      Predictor::Create(graph, nullptr, {.execution = Execution::kInteger, .apply_recipe = false}));
  std::vector<float> rows(kTestRows * program.inputs), results(kTestRows * program.outputs);
  TorchGenerator generator(0);
  generator.FillNormal(absl::MakeSpan(rows), 0, 2);
  MASE_RETURN_IF_ERROR(predictor->Predict(rows, absl::MakeSpan(results)));
  return absl::Substitute(kTestMain, name, kTestRows, CTable(name + "_rows", rows),
                          CTable(name + "_results", results), absl::AsciiStrToUpper(name));
}

}  // namespace

absl::StatusOr<CProgram> ExportC(const Graph& graph, absl::string_view name) {
  MASE_RETURN_IF_ERROR(CheckName(name));
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  TensorStore store(graph, DType::kFloat32);
  MASE_RETURN_IF_ERROR(store.LoadFrom(graph));
  const IntegerPlans plans(graph, shapes, store);
  CWriter writer(graph, shapes, plans);
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    MASE_RETURN_IF_ERROR(
        Annotate(writer.Add(*node), absl::StrCat("node '", node->name(), "' (", node->op(), ")")));
  }
  if (Uses(kPreamble, name) || Uses(writer.Definitions(), name) || Uses(writer.Whole(), name) ||
      Uses(kTestMain, name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is a word of the C code itself; choose another"));
  }
  CProgram program = Files(writer, std::string(name));
  MASE_ASSIGN_OR_RETURN(program.test, TestOf(graph, program, std::string(name)));
  return program;
}

}  // namespace mase
