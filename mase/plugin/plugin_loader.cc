#include "mase/plugin/plugin_loader.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "mase/base/call_foreign.h"
#include "mase/base/files.h"
#include "mase/base/floating_point.h"
#include "mase/base/last_words.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/plugin/commit.h"
#include "mase/plugin/elf_check.h"
#include "mase/plugin/host_scope.h"
#include "mase/plugin/isolated_plugin.h"
#include "mase/plugin/plugin_info.h"
#include "mase/plugin/signature.h"

namespace mase {
namespace {

constexpr char kEntryPoint[] = "MasePluginGetInfo";
// What to do about an entry point that is not as it should be.
constexpr char kDefine[] = ": let MASE_DEFINE_PLUGIN write it";
constexpr char kBuildAgain[] = ": build it against the SDK of this program";
constexpr char kReturnErrors[] = "; errors are to be returned as absl::Status";
constexpr char kIndexFile[] = "plugins/index.textproto";

template <typename... Parts>
absl::Status Refused(absl::string_view path, const Parts&... parts) {
  return absl::PermissionDeniedError(absl::StrCat("plugin ", path, " refused: ", parts...));
}

std::string Stem(absl::string_view path) {
  absl::string_view name = path.substr(path.rfind('/') + 1);
  return std::string(name.substr(0, name.rfind('.')));
}

// Whether host and plugin were built to talk. Fields are read in the order in which
// they can be trusted.
absl::Status CheckHandshake(absl::string_view path, const MasePluginInfo* info) {
  if (info == nullptr) {
    return Refused(path, kEntryPoint, " returned nothing, want a MasePluginInfo", kDefine);
  }
  if (info->struct_size != sizeof(MasePluginInfo)) {
    return Refused(path, "its MasePluginInfo has ", info->struct_size, " bytes, this program's ",
                   sizeof(MasePluginInfo), kBuildAgain);
  }
  if (info->abi_version != kMasePluginAbiVersion) {
    return Refused(path, "its ABI version is ", info->abi_version, ", this program's ",
                   kMasePluginAbiVersion, kBuildAgain);
  }
  if (info->name == nullptr || info->version == nullptr || info->register_passes == nullptr ||
      info->owner == nullptr || info->status == nullptr) {
    return Refused(path, "a field of its MasePluginInfo is null", kDefine);
  }
  if (info->name != Stem(path)) {
    return Refused(path, "it calls itself '", info->name, "', its file '", Stem(path),
                   "': call its file ", info->name, ".so, or change what MASE_DEFINE_PLUGIN says");
  }
  const absl::string_view status = info->status;
  if (status != "" && status != "stable" && status != "experimental") {
    return Refused(path, "its status is ", Quoted(status), ", want stable or experimental");
  }
  return absl::OkStatus();
}

// The linker's message, with names of C++ as one writes them and what to do.
std::string LinkerMessage(absl::string_view path, absl::string_view message) {
  constexpr absl::string_view kUndefined = "undefined symbol: ";
  const size_t at = message.find(kUndefined);
  if (at == absl::string_view::npos) {
    const bool misses_library = absl::StrContains(message, "cannot open shared object file");
    return absl::StrCat(
        absl::StripPrefix(message, absl::StrCat(path, ": ")),
        misses_library ? "; link a library of your own into the plugin (its .a), as nothing is "
                         "looked for beside it ($ORIGIN)"
                       : "");
  }
  std::string symbol(message.substr(at + kUndefined.size()));
  symbol = symbol.substr(0, symbol.find_first_of(",( "));  // ", version GLIBC_2.36"
  int failed = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &failed), &std::free);
  const std::string name = failed == 0 ? demangled.get() : symbol;
  const bool is_ours = absl::StrContains(name, "mase::");
  return absl::StrCat(
      "it uses ", name, ", which this program does not have: ",
      is_ours
          ? "declared in a header that is not for plugins, or a source of your own is missing in "
            "the build"
          : "link the library that has it into the plugin");
}

// Whether a pass can be called by that name in settings, on command lines and as a folder.
bool IsPassName(absl::string_view name) {
  return !name.empty() && static_cast<int64_t>(name.size()) <= limits::kMaxPassNameBytes &&
         absl::ascii_isalpha(name[0]) && absl::c_all_of(name, [](char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

// What is said where a plugin ends the program while it is opened.
LastWords Ending(absl::string_view path) {
  return {.who = absl::StrCat("plugin ", Printable(path), " refused: while it was opened it")};
}
const int kRefusedCode = ExitCode(absl::PermissionDeniedError(""));

}  // namespace

absl::StatusOr<std::unique_ptr<PluginLoader>> PluginLoader::Create() {
  const std::string path = Runfile(kIndexFile);
  PluginIndex index;
  const auto text = ReadFile(path, limits::kMaxConfigFileBytes);
  if (!text.ok() || !google::protobuf::TextFormat::ParseFromString(*text, &index)) {
    return absl::DataLossError(absl::StrCat("cannot read the list of bundled plugins, ", path));
  }
  return std::make_unique<PluginLoader>(std::move(index), Runfile("plugins"));
}

PluginLoader::PluginLoader(PluginIndex index, std::string folder)
    : folder_(std::move(folder)), index_(std::move(index)) {
  for (const PluginEntry& plugin : index_.plugin()) {
    for (const PassEntry& pass : plugin.pass()) {
      bundled_[pass.name()] = &plugin;
      for (const std::string& alias : pass.alias()) bundled_[alias] = &plugin;
    }
  }
}

absl::StatusOr<PluginEntry> PluginLoader::Open(absl::string_view path_as_given,
                                               absl::string_view sha256) {
  const std::string path(path_as_given);
  const bool bundled = IsBundled(path);
  const auto known = opened_by_path_.find(RealPath(path));
  if (known != opened_by_path_.end() && sha256.empty()) return known->second;

  const auto named = [&path](const absl::Status& status) {
    return Annotate(
        status, absl::StrCat("plugin ", path, absl::IsPermissionDenied(status) ? " refused" : ""));
  };
  const absl::StatusOr<PluginFile> file =
      ReadPluginFile(path, bundled ? std::vector<std::string>() : policy_.folders);
  if (!file.ok()) return named(file.status());
  if (!sha256.empty()) MASE_RETURN_IF_ERROR(named(CheckSha256(file->bytes, sha256)));
  if (known != opened_by_path_.end()) return known->second;
  const absl::StatusOr<PluginEntry> entry = OpenFile(path, *file);
  if (!entry.ok()) return entry;
  opened_.push_back(*entry);
  opened_by_path_[file->real_path] = *entry;
  if (bundled) return entry;
  PluginConfig& pin = pins_.emplace_back();
  pin.set_path(path);
  pin.set_sha256(Sha256(file->bytes));
  return entry;
}

absl::StatusOr<PluginEntry> PluginLoader::OpenFile(const std::string& path,
                                                   const PluginFile& file) {
  const auto refused = [&path](const absl::Status& status) {
    return absl::IsPermissionDenied(status) ? Refused(path, status.message()) : status;
  };
  MASE_RETURN_IF_ERROR(refused(CheckElfSharedObject(file.bytes, kEntryPoint)));
  const absl::StatusOr<std::string> signature = PluginNoteOf(file.bytes);
  if (!signature.ok()) return refused(signature.status());
  MASE_RETURN_IF_ERROR(refused(CheckSignature(*signature)));
  // Bundled ones are as trusted as this program, and debuggers find their files.
  if (IsBundled(path) && !policy_.isolation.has_value()) {
    return Link(path, file.real_path, file.bytes);
  }
  const absl::StatusOr<int> copy = SealedCopy(file);
  if (!copy.ok()) return Annotate(copy.status(), absl::StrCat("plugin ", path));
  if (!policy_.isolation.has_value()) return Link(path, DescriptorPath(*copy), file.bytes);
  absl::StatusOr<IsolatedPlugin::Opened> opened =
      IsolatedPlugin::Open(file.real_path, *copy, *policy_.isolation);
  if (!opened.ok()) return refused(opened.status());
  MASE_RETURN_IF_ERROR(AddAll(path, opened->passes));
  return std::move(opened->entry);
}

absl::StatusOr<PluginEntry> PluginLoader::OpenCopy(const std::string& path, int descriptor) {
  const std::string image = DescriptorPath(descriptor);
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(image, limits::kMaxPluginBytes));
  return Link(path, image, bytes);
}

absl::StatusOr<PluginEntry> PluginLoader::Link(const std::string& path, const std::string& image,
                                               absl::string_view bytes) {
  const KeepFloatingPoint kept;
  const LastWords words = Ending(path);
  const EndWatch watch(words, kRefusedCode);
  // Another loader of this process may have it open, and then its proto files are known.
  void* handle = ::dlopen(image.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (handle == nullptr) {
    if (const absl::Status status = CheckProtoFiles(bytes); !status.ok()) {
      return Refused(path, status.message());
    }
    handle = OpenInHostScope(image);
  }
  if (handle == nullptr) return Refused(path, LinkerMessage(image, ::dlerror()));
  return Register(path, handle);
}

absl::StatusOr<PluginEntry> PluginLoader::Register(const std::string& path, void* handle) {
  const auto get_info =
      reinterpret_cast<decltype(&MasePluginGetInfo)>(::dlsym(handle, kEntryPoint));
  if (get_info == nullptr) {
    return Refused(path, "it has no function ", kEntryPoint, ", so it is no MASE plugin", kDefine);
  }
  const absl::StatusOr<const MasePluginInfo*> got = CallForeign(
      kEntryPoint, [&]() -> absl::StatusOr<const MasePluginInfo*> { return get_info(); });
  if (!got.ok()) return Refused(path, got.status().message(), kDefine);
  const MasePluginInfo* const info = *got;
  MASE_RETURN_IF_ERROR(CheckHandshake(path, info));

  PluginEntry entry;
  entry.set_name(info->name);
  entry.set_version(info->version);
  entry.set_owner(info->owner);
  entry.set_status(info->status);
  PassRegistrar registrar(entry.name());
  const absl::Status registered = CallForeign("its register function", [&] {
    info->register_passes(&registrar);
    return registrar.status();
  });
  if (!registered.ok()) {
    return Refused(path, registered.message(), absl::IsInternal(registered) ? kReturnErrors : "");
  }

  for (const PassInfo& pass : registrar.passes()) MASE_RETURN_IF_ERROR(CheckNames(path, pass));
  Describe(registrar.registrations(), &entry);
  if (const absl::Status status = CommitToTables(info, registrar.registrations()); !status.ok()) {
    return Refused(path, status.message());
  }
  MASE_RETURN_IF_ERROR(AddAll(path, registrar.passes()));
  return entry;
}

absl::Status PluginLoader::AddAll(const std::string& path, absl::Span<const PassInfo> passes) {
  PassRegistry together;  // Refuses what the plugin itself has twice.
  for (const PassInfo& pass : passes) {
    MASE_RETURN_IF_ERROR(CheckNames(path, pass));
    if (absl::Status added = together.Add(pass); !added.ok()) return Refused(path, added.message());
  }
  for (const PassInfo& pass : passes) {
    if (absl::Status added = registry_.Add(pass); !added.ok()) {
      return Refused(path, added.message());
    }
  }
  return absl::OkStatus();
}

absl::Status PluginLoader::CheckNames(const std::string& path, const PassInfo& pass) const {
  std::vector<std::string> names = {pass.name};
  names.insert(names.end(), pass.traits.aliases.begin(), pass.traits.aliases.end());
  // Every pass has this alias, too, which nobody chose.
  const std::string derived = absl::StrCat(pass.name, "_", PassKindName(pass.traits.kind), "_pass");
  for (const std::string& name : names) {
    if (name != derived && !IsPassName(name)) {
      return Refused(path, "it calls a pass ", Quoted(name),
                     "; want a letter, then letters, digits, '_' and '-', at most ",
                     limits::kMaxPassNameBytes, " in all");
    }
    std::string owner;
    if (const PassInfo* taken = registry_.Find(name); taken != nullptr) {
      owner = taken->plugin;
    } else if (const auto it = bundled_.find(name);
               it != bundled_.end() && RealPath(BundledPath(*it->second)) != RealPath(path)) {
      owner = it->second->name();  // Owns its names even while it is closed.
    }
    if (owner.empty()) continue;
    return Refused(path, "plugin ", owner, " has a pass '", name, "', and so has this one, ",
                   pass.plugin, ": give one another name, or open one of the two");
  }
  return absl::OkStatus();
}

bool PluginLoader::IsBundled(absl::string_view path) const {
  return !folder_.empty() && absl::StartsWith(path, absl::StrCat(folder_, "/"));
}

std::string PluginLoader::BundledPath(const PluginEntry& plugin) const {
  return absl::StrCat(folder_, "/", plugin.name(), "/", plugin.name(), ".so");
}

absl::StatusOr<const PassInfo*> PluginLoader::LookUp(absl::string_view name) {
  if (const PassInfo* info = registry_.Find(name); info != nullptr) return info;
  if (const auto it = bundled_.find(name); it != bundled_.end()) {
    MASE_RETURN_IF_ERROR(Open(BundledPath(*it->second)).status());
    return registry_.LookUp(name);
  }
  std::vector<std::string> known = registry_.names();
  for (const auto& [bundled, plugin] : bundled_) known.push_back(bundled);
  std::sort(known.begin(), known.end());
  const std::string nearest = Suggest(name, known);
  if (!nearest.empty()) {
    return absl::NotFoundError(absl::StrCat("no pass '", name, "'", nearest));
  }
  const auto append_name = [](std::string* out, const KnownPass& known_pass) {
    absl::StrAppend(out, known_pass.pass->name());
  };
  return absl::NotFoundError(
      absl::StrCat("no pass '", name, "'; there are ", absl::StrJoin(List(), ", ", append_name)));
}

std::vector<KnownPass> PluginLoader::List() const {
  absl::btree_map<absl::string_view, KnownPass> passes;
  const auto add = [&passes](const PluginEntry& plugin) {
    for (const PassEntry& pass : plugin.pass()) passes[pass.name()] = {&pass, &plugin};
  };
  for (const PluginEntry& plugin : index_.plugin()) add(plugin);
  for (const PluginEntry& plugin : opened_) add(plugin);
  std::vector<KnownPass> list;
  for (const auto& [name, known] : passes) list.push_back(known);
  return list;
}

}  // namespace mase
