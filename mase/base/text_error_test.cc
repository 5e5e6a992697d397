#include "mase/base/text_error.h"

#include "google/protobuf/any.pb.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(FirstTextErrorTest, CountsFromOneAndKeepsTheFirst) {
  FirstTextError error;
  EXPECT_EQ(error.line(), 0);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  google::protobuf::Any message;
  EXPECT_FALSE(parser.ParseFromString("type_url: 'x'\n  colour: 3\n shape: 4", &message));
  EXPECT_EQ(error.line(), 2);
  EXPECT_EQ(error.column(), 9);
  EXPECT_EQ(error.text(), "2:9: " + error.message());
  EXPECT_NE(error.message().find("colour"), std::string::npos) << error.message();
}

}  // namespace
}  // namespace mase
