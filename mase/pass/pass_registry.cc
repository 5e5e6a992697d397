#include "mase/pass/pass_registry.h"

#include "absl/strings/str_cat.h"
#include "mase/base/call_foreign.h"
#include "mase/base/last_words.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/config/complete.h"

namespace mase {
namespace {

std::vector<std::string> AllNames(const PassInfo& info) {
  std::vector<std::string> names = info.traits.aliases;
  names.push_back(info.name);
  return names;
}

}  // namespace

absl::string_view PassKindName(PassKind kind) {
  return kind == PassKind::kTransform ? "transform" : "analysis";
}

absl::StatusOr<std::unique_ptr<Pass>> CreatePass(const PassInfo& info,
                                                 const google::protobuf::Any& options) {
  const std::unique_ptr<google::protobuf::Message> message(info.options->New());
  if (!options.type_url().empty()) {
    const std::string given(options.type_url().substr(options.type_url().rfind('/') + 1));
    const std::string wanted(info.options->GetDescriptor()->full_name());
    if (given != wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat(info.name, ": options are ", given, ", want ", wanted));
    }
    if (!message->ParseFromString(options.value())) {
      return absl::InvalidArgumentError(
          absl::StrCat(info.name, ": the bytes of its options are no ", wanted));
    }
  }
  MASE_RETURN_IF_ERROR(Annotate(CompleteMessage(*message), info.name));
  const std::string whose = absl::StrCat("pass ", info.name, " of plugin ", info.plugin);
  const LastWords words = {.who = absl::StrCat("creating ", whose)};
  const EndWatch watch(words, /*exit_code=*/1);
  return CallForeign(words.who, [&]() -> absl::StatusOr<std::unique_ptr<Pass>> {
    auto pass = info.create(*message);
    if (!pass.ok()) return Annotate(pass.status(), info.name);
    if (*pass == nullptr) return absl::InternalError(absl::StrCat(whose, " was created as null"));
    return pass;
  });
}

PassSource::~PassSource() = default;

absl::Status PassRegistry::Add(PassInfo info) {
  for (const std::string& name : AllNames(info)) {
    if (const PassInfo* taken = Find(name); taken != nullptr) {
      return absl::AlreadyExistsError(absl::StrCat("plugins ", taken->plugin, " and ", info.plugin,
                                                   " both have a pass '", name, "'"));
    }
  }
  auto kept = std::make_unique<PassInfo>(std::move(info));
  for (std::string& name : AllNames(*kept)) by_name_[std::move(name)] = kept.get();
  const std::string name = kept->name;
  passes_[name] = std::move(kept);
  return absl::OkStatus();
}

const PassInfo* PassRegistry::Find(absl::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

absl::StatusOr<const PassInfo*> PassRegistry::LookUp(absl::string_view name) {
  if (const PassInfo* info = Find(name); info != nullptr) return info;
  return absl::NotFoundError(absl::StrCat("no pass '", name, "'", Suggest(name, names())));
}

std::vector<const PassInfo*> PassRegistry::passes() const {
  std::vector<const PassInfo*> passes;
  for (const auto& [name, info] : passes_) passes.push_back(info.get());
  return passes;
}

std::vector<std::string> PassRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : by_name_) names.push_back(name);
  return names;
}

void PassRegistrar::Run(absl::Status (*register_passes)(PassRegistrar&)) noexcept {
  status_ = CallForeign("its register function", [&] { return register_passes(*this); });
}

absl::Status PassRegistrar::Add(PassInfo info) {
  info.plugin = plugin_;
  info.traits.aliases.push_back(
      absl::StrCat(info.name, "_", PassKindName(info.traits.kind), "_pass"));
  PassRegistry own;
  for (const PassInfo& earlier : registrations_.passes) MASE_RETURN_IF_ERROR(own.Add(earlier));
  MASE_RETURN_IF_ERROR(own.Add(info));
  registrations_.passes.push_back(std::move(info));
  return absl::OkStatus();
}

}  // namespace mase
