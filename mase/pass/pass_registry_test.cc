#include "mase/pass/pass_registry.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TestPass final : public Pass {
 public:
  using Options = google::protobuf::Value;  // Any message does; this one has fields.
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    if (options.bool_value()) return absl::InvalidArgumentError("must be false");
    if (options.number_value() > 0) throw std::runtime_error("too much");
    return std::make_unique<TestPass>();
  }
  absl::StatusOr<PassResult> Run(Graph&, PassContext&) const override {
    return PassResult::Unchanged();
  }
};

// A registry with one pass, from plugin "first".
PassRegistry OnePass(absl::string_view name = "fuse", PassTraits traits = {}) {
  PassRegistry registry;
  PassRegistrar registrar("first");
  EXPECT_OK(registrar.AddPass<TestPass>(name, "Fuses.", std::move(traits)));
  for (const PassInfo& info : registrar.passes()) EXPECT_OK(registry.Add(info));
  return registry;
}

google::protobuf::Any Packed(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.PackFrom(message);
  return any;
}

TEST(PassRegistryTest, ShortNameLongNameAndAliasesMeanOnePass) {
  PassRegistry registry = OnePass("fuse", {.aliases = {"melt"}});
  for (const char* name : {"fuse", "fuse_transform_pass", "melt"}) {
    EXPECT_EQ(ValueOrDie(registry.LookUp(name))->name, "fuse");
  }
  EXPECT_THAT(registry.names(), ElementsAre("fuse", "fuse_transform_pass", "melt"));
  EXPECT_EQ(registry.Find("fuse_analysis_pass"), nullptr);
  EXPECT_THAT(registry.LookUp("fusee"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("did you mean 'fuse'?")));
}

TEST(PassRegistryTest, ATakenNameIsRefusedNamingBothPlugins) {
  PassRegistry registry = OnePass();
  PassRegistrar second("second");
  ASSERT_OK(second.AddPass<TestPass>("melt", "Melts.", {.aliases = {"fuse"}}));
  EXPECT_THAT(registry.Add(second.passes()[0]),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       "plugins first and second both have a pass 'fuse'"));
  EXPECT_EQ(registry.Find("melt"), nullptr);
}

TEST(CreatePassTest, UnsetOptionsAreTheDefaults) {
  PassRegistry registry = OnePass();
  EXPECT_OK(CreatePass(*registry.Find("fuse"), {}));
  EXPECT_OK(CreatePass(*registry.Find("fuse"), Packed(google::protobuf::Value())));
}

TEST(CreatePassTest, OptionsOfAnotherPassAreRefused) {
  PassRegistry registry = OnePass();
  EXPECT_THAT(CreatePass(*registry.Find("fuse"), Packed(google::protobuf::Struct())),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "fuse: options are google.protobuf.Struct, want google.protobuf.Value"));
  google::protobuf::Any damaged = Packed(google::protobuf::Value());
  damaged.set_value("\xff");
  EXPECT_THAT(CreatePass(*registry.Find("fuse"), damaged),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("fuse: the bytes")));
}

TEST(CreatePassTest, ErrorsAndExceptionsOfThePassCarryItsName) {
  PassRegistry registry = OnePass();
  google::protobuf::Value options;
  options.set_bool_value(true);
  EXPECT_THAT(CreatePass(*registry.Find("fuse"), Packed(options)),
              StatusIs(absl::StatusCode::kInvalidArgument, "fuse: must be false"));
  options.set_number_value(1);
  EXPECT_THAT(
      CreatePass(*registry.Find("fuse"), Packed(options)),
      StatusIs(absl::StatusCode::kInternal, "creating pass fuse of plugin first threw: too much"));
}

TEST(PassRegistrarTest, ExceptionsOfARegisterFunctionStayInside) {
  PassRegistrar registrar("bad");
  registrar.Run([](PassRegistrar&) -> absl::Status { throw std::runtime_error("no"); });
  EXPECT_THAT(registrar.status(), StatusIs(absl::StatusCode::kInternal, HasSubstr("threw: no")));
  registrar.Run([](PassRegistrar&) -> absl::Status { throw 42; });
  EXPECT_THAT(registrar.status(), StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace mase
