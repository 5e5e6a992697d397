// The first error that protobuf's parser of texts finds.
//
//   FirstTextError error;
//   google::protobuf::TextFormat::Parser parser;
//   parser.RecordErrorsTo(&error);
//   if (!parser.ParseFromString(text, &message)) return absl::InvalidArgumentError(error.text());
#ifndef MASE_BASE_TEXT_ERROR_H_
#define MASE_BASE_TEXT_ERROR_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"

namespace mase {

class FirstTextError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line + 1;
    column_ = column + 1;
    message_ = message;
  }

  // Counted from 1; 0 where there was no error.
  int line() const { return line_; }
  int column() const { return column_; }
  const std::string& message() const { return message_; }
  // "line:column: message"
  std::string text() const { return absl::StrCat(line_, ":", column_, ": ", message_); }

 private:
  int line_ = 0, column_ = 0;
  std::string message_;
};

}  // namespace mase

#endif  // MASE_BASE_TEXT_ERROR_H_
