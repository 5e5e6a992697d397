#include "mase/config/json.h"

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/config/text_check.h"

namespace mase {
namespace {

// Reads characters and tells how many were read: the library reports no
// positions, but asks for no more than the token it hands over.
class CountingIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Builds the tree from the library's events, so that neither it nor we recurse.
class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(absl::string_view text, absl::string_view name)
      : text_(text), name_(name), furthest_(text.data()), positions_(text) {}

  const char** furthest() { return &furthest_; }
  const absl::Status& status() const { return status_; }
  ConfigValue TakeRoot() { return std::move(root_); }

  bool null() override { return Add({Null(), position_}); }
  bool boolean(bool value) override { return Add({value, position_}); }
  bool number_integer(int64_t value) override { return Add({value, position_}); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX))
      return Add({static_cast<double>(value), position_});
    return Add({static_cast<int64_t>(value), position_});
  }
  bool number_float(double value, const std::string&) override { return Add({value, position_}); }
  bool string(std::string& value) override { return Add(StringOrNull(value, position_)); }
  bool binary(binary_t&) override { return false; }  // Not in JSON text.

  bool start_object(size_t) override { return Open({ValueTable(), position_}); }
  bool start_array(size_t) override { return Open({ValueList(), position_}); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(std::string& key) override {
    position_ = positions_.At(StartOfKey());
    if (!open_.back().keys.insert(key).second) {
      return Fail(absl::InvalidArgumentError(
          absl::StrCat(Where(name_, position_), ": key '", key, "' is given twice")));
    }
    key_ = key;
    return true;
  }

  bool parse_error(size_t offset, const std::string&,
                   const nlohmann::json::exception& error) override {
    // "[json.exception...] parse error at line 1, column 2: syntax error while parsing value -
    // what": the place is ours to say.
    absl::string_view what = error.what();
    for (const absl::string_view before : {"column ", ": ", " - "}) {
      const size_t found = what.find(before);
      if (found != absl::string_view::npos) what.remove_prefix(found + before.size());
    }
    const Position position = positions_.At(offset > 0 ? offset - 1 : 0);
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        Where(name_, position), ": the text is no JSON from here on: ", Quoted(what))));
  }

 private:
  struct Container {
    ConfigValue value;
    std::string key;  // In the container around it, if that is a table.
    Position position;
    absl::flat_hash_set<std::string> keys;
  };

  // The offset of the opening quote of the key just read.
  size_t StartOfKey() const {
    size_t quote = static_cast<size_t>(furthest_ - text_.data()) - 1;  // The closing one.
    bool escaped = true;
    while (escaped && quote > 0) {
      quote = text_.rfind('"', quote - 1);
      size_t backslashes = 0;
      while (backslashes < quote && text_[quote - 1 - backslashes] == '\\') ++backslashes;
      escaped = backslashes % 2 == 1;
    }
    return quote;
  }

  bool Fail(absl::Status status) {
    status_ = std::move(status);
    return false;
  }

  bool Open(ConfigValue container) {
    if (open_.size() >= limits::kMaxConfigNesting) {
      return Fail(absl::ResourceExhaustedError(
          absl::StrCat(Where(name_, positions_.At(furthest_ - text_.data())), ": nested more than ",
                       limits::kMaxConfigNesting, " levels deep")));
    }
    open_.push_back({std::move(container), key_, position_, {}});
    return true;
  }

  bool Close() {
    Container closed = std::move(open_.back());
    open_.pop_back();
    key_ = closed.key;
    position_ = closed.position;
    return Add(std::move(closed.value));
  }

  bool Add(ConfigValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* table = std::get_if<ValueTable>(&open_.back().value.data)) {
      table->push_back({key_, position_, std::move(value)});
    } else {
      std::get<ValueList>(open_.back().value.data).push_back(std::move(value));
    }
    return true;
  }

  const absl::string_view text_;
  const absl::string_view name_;
  const char* furthest_;  // Behind the last character that the library took.
  PositionFinder positions_;
  std::vector<Container> open_;
  std::string key_;    // The key just read.
  Position position_;  // Its place.
  ConfigValue root_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<ConfigValue> ParseJson(absl::string_view text, absl::string_view name) {
  MASE_RETURN_IF_ERROR(CheckEncoding(text, name));
  TreeBuilder builder(text, name);
  const CountingIterator begin(text.data(), builder.furthest());
  const CountingIterator end(text.data() + text.size(), builder.furthest());
  nlohmann::json::sax_parse(begin, end, &builder);
  MASE_RETURN_IF_ERROR(builder.status());
  ConfigValue root = builder.TakeRoot();
  if (root.table() == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":1:1: want an object at the top level, got ", ShowValue(root)));
  }
  return root;
}

}  // namespace mase
