#include "mase/model/torch_text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/graph/op_schema.h"

namespace mase {
namespace {

constexpr int kMaxNesting = 32;
constexpr absl::string_view kSequential = "Sequential";
constexpr absl::string_view kDefaultPath = "seq_blocks";

// Arguments of PyTorch's constructors that the ops have not, with the value that they must have and
// the argument that they follow by place.
struct Fixed {
  absl::string_view module;
  absl::string_view after;
  absl::string_view name;
  absl::string_view value;
};
constexpr Fixed kFixed[] = {
    {"MaxPool1d", "padding", "dilation", "1"},
    {"MaxPool1d", "dilation", "return_indices", "False"},
    {"MaxPool2d", "padding", "dilation", "1"},
    {"MaxPool2d", "dilation", "return_indices", "False"},
    {"AvgPool2d", "count_include_pad", "divisor_override", "None"},
    {"AdaptiveMaxPool1d", "output_size", "return_indices", "False"},
    {"AdaptiveMaxPool2d", "output_size", "return_indices", "False"},
    {"Conv1d", "bias", "padding_mode", "zeros"},
    {"Conv2d", "bias", "padding_mode", "zeros"},
    {"ConvTranspose2d", "dilation", "padding_mode", "zeros"},
    {"LayerNorm", "elementwise_affine", "bias", "True"},  // Of norms: where they have a weight.
    {"BatchNorm1d", "track_running_stats", "bias", "True"},
    {"BatchNorm2d", "track_running_stats", "bias", "True"},
    {"InstanceNorm2d", "track_running_stats", "bias", "True"},
    {"GroupNorm", "affine", "bias", "True"},
    {"Embedding", "embedding_dim", "padding_idx", "None"},
    {"Embedding", "padding_idx", "max_norm", "None"},
    {"Embedding", "max_norm", "norm_type", "2.0"},
    {"Embedding", "norm_type", "scale_grad_by_freq", "False"},
    {"Embedding", "scale_grad_by_freq", "sparse", "False"},
};
// Those of any constructor, by name.
constexpr absl::string_view kPlacement[] = {"device", "dtype"};

// Arguments of which None means what the op does without them.
struct Absent {
  absl::string_view module;
  absl::string_view name;
};
constexpr Absent kMayBeNone[] = {{"MaxPool1d", "stride"},
                                 {"MaxPool2d", "stride"},
                                 {"AvgPool1d", "stride"},
                                 {"AvgPool2d", "stride"},
                                 {"RMSNorm", "eps"}};

// An argument in the order of PyTorch's signature: an attribute of the op, or a fixed one.
struct Parameter {
  absl::string_view name;
  const AttributeSpec* spec = nullptr;
  const Fixed* fixed = nullptr;
};

std::vector<Parameter> SignatureOf(const OpSchema& schema) {
  std::vector<Parameter> signature;
  for (const AttributeSpec& spec : schema.attributes) {
    signature.push_back({spec.name, &spec});
    for (const Fixed& fixed : kFixed) {  // In their order: one may follow another.
      if (fixed.module == schema.module_class && fixed.after == signature.back().name) {
        signature.push_back({fixed.name, nullptr, &fixed});
      }
    }
  }
  return signature;
}

struct Leaf {
  std::string path;
  std::string layer;
};

bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.'; }

// The parts of arguments between commas that are in no brackets or quotes.
std::vector<absl::string_view> SplitArguments(absl::string_view text) {
  std::vector<absl::string_view> parts;
  int depth = 0;
  char quote = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (quote != 0 && i < text.size()) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[') {
      ++depth;
    } else if (c == ')' || c == ']') {
      --depth;
    } else if ((c == ',' && depth == 0) || i == text.size()) {
      const absl::string_view part = absl::StripAsciiWhitespace(text.substr(begin, i - begin));
      if (!part.empty()) parts.push_back(part);
      begin = i + 1;
    }
  }
  return parts;
}

// A value of Python as one of a layer list, for an attribute of the type of `like`; "" where it is
// none of that.
std::string LayerValue(absl::string_view text, const Attribute& like) {
  double number = 0;
  int64_t whole = 0;
  if (std::holds_alternative<bool>(like)) {
    if (text == "True") return "true";
    if (text == "False") return "false";
    // MASE's labs write ReLU(16), and anything but 0 is true.
    return absl::SimpleAtod(text, &number) ? (number != 0 ? "true" : "false") : "";
  }
  if (std::holds_alternative<int64_t>(like)) {
    return absl::SimpleAtoi(text, &whole) ? std::string(text) : "";
  }
  if (std::holds_alternative<double>(like)) {
    return absl::SimpleAtod(text, &number) ? std::string(text) : "";
  }
  if (std::holds_alternative<std::string>(like)) {
    const bool quoted =
        text.size() >= 2 && (text[0] == '\'' || text[0] == '"') && text.back() == text[0];
    const absl::string_view inside = quoted ? text.substr(1, text.size() - 2) : "";
    return absl::c_all_of(inside, IsNameCharacter) ? std::string(inside) : "";
  }
  const bool tuple = absl::ConsumePrefix(&text, "(") && absl::ConsumeSuffix(&text, ")");
  const bool list = !tuple && absl::ConsumePrefix(&text, "[") && absl::ConsumeSuffix(&text, "]");
  std::vector<absl::string_view> parts = {text};
  if (tuple || list) parts = SplitArguments(text);
  for (const absl::string_view part : parts) {
    if (!absl::SimpleAtoi(part, &whole)) return "";
  }
  return absl::StrJoin(parts, "x");
}

class Reader {
 public:
  explicit Reader(absl::string_view text) : text_(text), rest_(text) {}

  absl::StatusOr<std::string> Read() {
    std::string path(kDefaultPath);
    bool named = false;
    SkipBlanks();
    MASE_RETURN_IF_ERROR(SkipImports());
    const absl::string_view before = rest_;
    absl::string_view name = TakeName();
    SkipBlanks();
    if (!name.empty() && absl::StartsWith(rest_, "=")) {  // self.seq_blocks = ...
      rest_.remove_prefix(1);
      absl::ConsumePrefix(&name, "self.");
      path = std::string(name);
      named = true;
    } else {
      rest_ = before;
    }
    MASE_RETURN_IF_ERROR(ReadModule(path, /*is_top=*/!named, 0));
    SkipBlanks();
    if (!rest_.empty()) {
      MASE_RETURN_IF_ERROR(CheckNoCode());
      return Error("want the end of the net");
    }
    return List();
  }

 private:
  // A script may begin with imports: of names that are known anyway.
  absl::Status SkipImports() {
    while (absl::StartsWith(rest_, "import ") || absl::StartsWith(rest_, "from ")) {
      const absl::string_view line = rest_.substr(0, rest_.find('\n'));
      if (absl::StrContains(line, "(") || absl::EndsWith(line, "\\")) {
        return Error("an import over several lines; leave it out");
      }
      rest_.remove_prefix(line.size());
      SkipBlanks();
    }
    return CheckNoCode();
  }

  // Statements would have to run.
  absl::Status CheckNoCode() const {
    static constexpr absl::string_view kStatements[] = {"class ", "def ",  "@",      "for ",
                                                        "if ",    "with ", "print(", "while "};
    for (const absl::string_view statement : kStatements) {
      if (!absl::StartsWith(rest_, statement)) continue;
      return Error(
          "Python is not run here: one nn.Sequential(...) is read. In Python, print(net) shows a "
          "net that is read, and torch.onnx.export(net, x, \"net.onnx\") writes one with any "
          "forward()");
    }
    return absl::OkStatus();
  }

  // Segments of a layer list, short where all modules are of one sequence.
  std::string List() const {
    const std::string path(Parent(leaves_[0].path));
    bool in_order = true;
    for (size_t i = 0; i < leaves_.size() && in_order; ++i) {
      in_order = leaves_[i].path == absl::StrCat(path, ".", i);
    }
    const absl::string_view between = in_order ? ", " : "; ";
    const std::string layers =
        absl::StrJoin(leaves_, between, [in_order](std::string* out, const auto& leaf) {
          if (!in_order) absl::StrAppend(out, leaf.path, " = ");
          absl::StrAppend(out, leaf.layer);
        });
    return in_order ? absl::StrCat(path, ": ", layers) : layers;
  }

  static absl::string_view Parent(absl::string_view path) {
    return path.substr(0, std::min(path.rfind('.'), path.size()));
  }

  // One module with its brackets. Of the outermost one that is no Sequential the name is not part
  // of its modules' paths.
  absl::Status ReadModule(const std::string& path, bool is_top, int depth) {
    if (++modules_ > limits::kMaxGraphNodes) return TooMany();
    if (depth > kMaxNesting) return Error("modules in modules, too deep");
    SkipBlanks();
    const absl::string_view begin = rest_;
    absl::string_view name = TakeName();
    const bool of_torch =
        absl::ConsumePrefix(&name, "torch.nn.") || absl::ConsumePrefix(&name, "nn.");
    (void)of_torch;
    SkipBlanks();
    if (name.empty() || !absl::ConsumePrefix(&rest_, "(")) {
      rest_ = begin;
      return Error("want a module, as nn.Linear(16, 5)");
    }
    SkipBlanks();
    const bool printed = IsKeyAhead();
    if (name != kSequential && !printed) return ReadLeaf(path, name, begin);
    const std::string inside = is_top && name != kSequential ? "" : absl::StrCat(path, ".");
    for (int index = 0;; ++index) {
      while (SkipBlanks(), absl::ConsumePrefix(&rest_, ",")) {
      }
      if (absl::ConsumePrefix(&rest_, ")")) break;
      if (rest_.empty()) return Error("a bracket is not closed");
      std::string key = absl::StrCat(index);
      int64_t last = -1;                       // Of (0-2): 3 x Linear(...)
      if (absl::ConsumePrefix(&rest_, "(")) {  // (0): Linear(...)
        key = std::string(TakeName());
        const bool several = absl::ConsumePrefix(&rest_, "-");
        if (several && !absl::SimpleAtoi(TakeName(), &last)) return Error("want (FIRST-LAST):");
        if (key.empty() || !absl::ConsumePrefix(&rest_, "):")) return Error("want (NAME): MODULE");
      }
      if (last >= 0) {
        MASE_RETURN_IF_ERROR(ReadCopies(inside, key, last, depth + 1));
        continue;
      }
      MASE_RETURN_IF_ERROR(ReadModule(absl::StrCat(inside, key), false, depth + 1));
    }
    if (leaves_.empty()) return Error("there is no module in it");
    return absl::OkStatus();
  }

  // Equal modules in a row, as PyTorch prints them: 3 x MODULE for the keys 0, 1, 2.
  absl::Status ReadCopies(const std::string& inside, const std::string& key, int64_t last,
                          int depth) {
    int64_t first = 0, count = 0;
    SkipBlanks();
    const absl::string_view number = TakeName();
    SkipBlanks();
    if (!absl::SimpleAtoi(key, &first) || !absl::SimpleAtoi(number, &count) ||
        !absl::ConsumePrefix(&rest_, "x ") || first < 0 || last < first ||
        count != last - first + 1) {
      return Error("want (FIRST-LAST): COUNT x MODULE");
    }
    if (count > limits::kMaxGraphNodes - modules_) return TooMany();
    const absl::string_view module = rest_;
    for (int64_t i = first; i <= last; ++i) {
      rest_ = module;
      MASE_RETURN_IF_ERROR(ReadModule(absl::StrCat(inside, i), false, depth));
    }
    return absl::OkStatus();
  }

  absl::Status TooMany() const {
    return Error(absl::StrCat("more than ", limits::kMaxGraphNodes, " modules"));
  }

  // "(NAME): ", which begins a module of a printed one; "(4,), eps=1e-05" does not.
  bool IsKeyAhead() const {
    absl::string_view ahead = rest_;
    if (!absl::ConsumePrefix(&ahead, "(")) return false;
    const auto end = absl::c_find_if(ahead, [](char c) { return !IsNameCharacter(c) && c != '-'; });
    return absl::StartsWith(ahead.substr(end - ahead.begin()), "):");
  }

  absl::Status ReadLeaf(const std::string& path, absl::string_view name, absl::string_view begin) {
    size_t end = 0;
    int depth = 1;
    char quote = 0;
    for (; end < rest_.size() && depth > 0; ++end) {
      const char c = rest_[end];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')') {
        --depth;
      }
    }
    if (depth > 0) return Error("a bracket is not closed");
    const absl::string_view arguments = rest_.substr(0, end - 1);
    absl::StatusOr<std::string> layer = LayerOf(name, arguments);
    if (!layer.ok()) {
      rest_ = begin;
      return Error(layer.status().message());
    }
    leaves_.push_back({path, *std::move(layer)});
    rest_.remove_prefix(end);
    return absl::OkStatus();
  }

  static absl::StatusOr<std::string> LayerOf(absl::string_view name, absl::string_view arguments) {
    const OpSchema* schema = nullptr;
    std::vector<std::string> known;
    for (const OpSchema* candidate : AllOps()) {
      if (candidate->module_class.empty()) continue;
      if (candidate->module_class == name) schema = candidate;
      known.emplace_back(candidate->module_class);
    }
    if (schema == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("module ", Quoted(name), " is not known", Suggest(name, known)));
    }
    std::string layer(name);
    bool has_inplace = false, has_weight = true;
    size_t place = 0;
    const std::vector<Parameter> signature = SignatureOf(*schema);
    for (const absl::string_view argument : SplitArguments(arguments)) {
      const size_t equals = argument.find('=');
      const bool by_name = equals != absl::string_view::npos;
      const absl::string_view key = absl::StripAsciiWhitespace(argument.substr(0, equals));
      const absl::string_view value =
          by_name ? absl::StripAsciiWhitespace(argument.substr(equals + 1)) : argument;
      if (by_name && absl::c_linear_search(kPlacement, key) && value == "None") continue;
      const auto found =
          by_name
              ? absl::c_find_if(signature,
                                [&](const Parameter& parameter) { return parameter.name == key; })
              : signature.begin() + static_cast<int64_t>(std::min(place++, signature.size()));
      if (found == signature.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, " has no argument for ", Quoted(argument)));
      }
      has_weight &= !(absl::EndsWith(found->name, "affine") && value == "False");
      if (found->fixed != nullptr) {
        const bool as_weight = found->name == "bias" && !has_weight && value == "False";
        if (as_weight || Means(value, found->fixed->value)) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            name, ": ", found->name, " must be ", found->fixed->value, ", not ", Quoted(value)));
      }
      if (value == "None") {
        const bool may_be = absl::c_any_of(kMayBeNone, [&](const Absent& absent) {
          return absent.module == name && absent.name == found->name;
        });
        if (may_be) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": ", found->name, "=None cannot be read; give a value"));
      }
      const std::string converted = LayerValue(value, found->spec->fallback);
      if (converted.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": ", Quoted(argument), " is no value for ", found->name));
      }
      has_inplace |= found->name == "inplace";
      absl::StrAppend(&layer, " ", found->name, "=", converted);
    }
    const bool may_be_inplace = absl::c_any_of(
        schema->attributes, [](const AttributeSpec& spec) { return spec.name == "inplace"; });
    if (may_be_inplace && !has_inplace) absl::StrAppend(&layer, " inplace=false");
    return layer;
  }

  // Whether Python's text is this value: 'zeros' in quotes, (1, 1) where each is it.
  static bool Means(absl::string_view text, absl::string_view value) {
    std::vector<absl::string_view> parts = {text};
    if (absl::ConsumePrefix(&text, "(") && absl::ConsumeSuffix(&text, ")")) {
      parts = SplitArguments(text);
    }
    return !parts.empty() && absl::c_all_of(parts, [&](absl::string_view part) {
      double number = 0, wanted = 0;
      if (absl::SimpleAtod(part, &number) && absl::SimpleAtod(value, &wanted)) {
        return number == wanted;
      }
      return part == value || part == absl::StrCat("'", value, "'") ||
             part == absl::StrCat("\"", value, "\"");
    });
  }

  absl::string_view TakeName() {
    size_t end = 0;
    while (end < rest_.size() && IsNameCharacter(rest_[end])) ++end;
    const absl::string_view name = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return name;
  }

  void SkipBlanks() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  absl::Status Error(absl::string_view what) const {
    const absl::string_view done = text_.substr(0, text_.size() - rest_.size());
    const size_t line = 1 + static_cast<size_t>(absl::c_count(done, '\n'));
    const size_t column =
        done.size() - (done.rfind('\n') == absl::string_view::npos ? 0 : done.rfind('\n') + 1) + 1;
    return absl::InvalidArgumentError(
        absl::StrCat("line ", line, ", column ", column, ": ", what,
                     rest_.empty() ? "" : absl::StrCat(", at ", Quoted(rest_.substr(0, 24)))));
  }

  const absl::string_view text_;
  absl::string_view rest_;
  std::vector<Leaf> leaves_;
  int64_t modules_ = 0;
};

// Comments become blanks, so that places stay.
std::string WithoutComments(absl::string_view text) {
  std::string clean(text);
  bool comment = false;
  char quote = 0;
  for (char& c : clean) {
    if (c == '\n') {
      comment = false;
      quote = 0;
    } else if (comment) {
      c = ' ';
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '#') {
      comment = true;
      c = ' ';
    }
  }
  return clean;
}

}  // namespace

bool LooksLikeTorchText(absl::string_view text) {
  return absl::StrContains(text, "Sequential(") || absl::StrContains(text, "nn.") ||
         absl::StrContains(text, "): ");
}

absl::StatusOr<std::string> LayersOfTorchText(absl::string_view text) {
  const std::string clean = WithoutComments(text);
  return Reader(clean).Read();
}

}  // namespace mase
