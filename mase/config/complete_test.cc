#include "mase/config/complete.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/config/testing_options.pb.h"
#include "mase/testing/matchers.h"
#include "proto/options.pb.h"
#include "proto/search.pb.h"

namespace mase {
namespace {

using plugins::shape_up::ShapeUpOptions;
using ::testing::HasSubstr;

ShapeUpOptions Options(const std::string& text) {
  ShapeUpOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &options)) << text;
  return options;
}

TEST(CompleteTest, WhatIsUnsetGetsItsDefault) {
  ShapeUpOptions options;
  ASSERT_OK(CompleteMessage(options));
  EXPECT_EQ(options.by(), "type");
  EXPECT_EQ(options.share(), 0.25);
  EXPECT_FALSE(options.has_table());
}

TEST(CompleteTest, WhatIsSetStays) {
  ShapeUpOptions options = Options("by: 'name' share: 1");
  ASSERT_OK(CompleteMessage(options));
  EXPECT_EQ(options.by(), "name");
  EXPECT_EQ(options.share(), 1);
}

TEST(CompleteTest, AMessageGetsItsOwnDefaultsEachTime) {
  ShapeUpOptions first;
  ASSERT_OK(CompleteMessage(first));
  first.set_by("name");
  ShapeUpOptions second = Options("share: 1");
  ASSERT_OK(CompleteMessage(second));
  EXPECT_EQ(second.by(), "type");
  EXPECT_EQ(second.share(), 1);
}

// Each is described at run time and gone before the next, whose descriptor may lie at its place.
TEST(CompleteTest, TypesOfTheSameNameHaveEachItsDefault) {
  for (const char* value : {"3", "4", "5", "six"}) {
    google::protobuf::DescriptorPool pool(google::protobuf::DescriptorPool::generated_pool());
    google::protobuf::FileDescriptorProto file;
    file.set_name("later.proto");
    file.add_dependency("proto/options.proto");
    google::protobuf::FieldDescriptorProto& field = *file.add_message_type()->add_field();
    file.mutable_message_type(0)->set_name("Later");
    field.set_name("size");
    field.set_number(1);
    field.set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
    field.set_type(google::protobuf::FieldDescriptorProto::TYPE_INT32);
    field.mutable_options()->MutableExtension(setting)->set_default_value(value);
    const google::protobuf::FileDescriptor* built = pool.BuildFile(file);
    ASSERT_NE(built, nullptr);
    google::protobuf::DynamicMessageFactory factory(&pool);
    const std::unique_ptr<google::protobuf::Message> message(
        factory.GetPrototype(built->message_type(0))->New());
    if (value == absl::string_view("six")) {
      EXPECT_THAT(CompleteMessage(*message),
                  StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("size: ")));
    } else {
      ASSERT_OK(CompleteMessage(*message));
      EXPECT_EQ(message->ShortDebugString(), absl::StrCat("size: ", value));
    }
  }
}

TEST(CompleteTest, ASectionThatIsSetInPartGetsTheRest) {
  SearchStrategySettings strategy;
  strategy.mutable_setup()->set_n_trials(7);
  ASSERT_OK(CompleteMessage(strategy));
  EXPECT_EQ(strategy.setup().n_trials(), 7);
  EXPECT_EQ(strategy.setup().n_jobs(), 1);
  EXPECT_EQ(strategy.name(), "optuna");
}

TEST(CompleteTest, ThreadsGetTheSame) {
  std::vector<ShapeUpOptions> options(4);
  std::vector<std::thread> threads;
  for (ShapeUpOptions& each : options) {
    threads.emplace_back([&each] { EXPECT_OK(CompleteMessage(each)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const ShapeUpOptions& each : options) EXPECT_EQ(each.share(), 0.25);
}

TEST(CompleteTest, ValuesAreCheckedHoweverDeepTheyLie) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"share: 0", "share: 0 is out of range, want above 0 and at most 1"},
      {"share: nan", "share: nan is out of range"},
      {"turns: 8", "turns: 8 is out of range, want at least 0 and below 8"},
      {"by: 'nmae'", "by: 'nmae' is none of type, name, regex_name; did you mean 'name'?"},
      {"mode: 7", "mode: 7 is none of MODE_UNSET, GENTLE, HARD"},
      {"modes: [HARD, 7]", "modes: 7 is none of"},
      {"rules { config { weight { width: 0 } } }", "rules.config.weight.width: 0 is out of range"},
      {"extra { key: 'a' value { config { left { width: -1 } } } }",
       "extra.value.config.left.width: -1 is out of range"},
  };
  for (const Case& c : cases) {
    ShapeUpOptions options = Options(c.text);
    EXPECT_THAT(CompleteMessage(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)))
        << c.text;
  }
}

}  // namespace
}  // namespace mase
