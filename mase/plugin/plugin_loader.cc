#include "mase/plugin/plugin_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/plugin/commit.h"
#include "mase/plugin/elf_check.h"
#include "mase/plugin/plugin_info.h"

namespace mase {
namespace {

constexpr char kEntryPoint[] = "MasePluginGetInfo";
constexpr char kIndexFile[] = "plugins/index.textproto";

template <typename... Parts>
absl::Status Refused(absl::string_view path, const Parts&... parts) {
  return absl::PermissionDeniedError(absl::StrCat("plugin ", path, " refused: ", parts...));
}

std::string Stem(absl::string_view path) {
  absl::string_view name = path.substr(path.rfind('/') + 1);
  return std::string(name.substr(0, name.rfind('.')));
}

// "" where the path does not exist.
std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? "" : std::string(real.get());
}

// Whether host and plugin were built to talk. Fields are read in the order in which
// they can be trusted.
absl::Status CheckHandshake(absl::string_view path, const MasePluginInfo* info) {
  if (info == nullptr) return Refused(path, kEntryPoint, " returned nothing");
  if (info->struct_size != sizeof(MasePluginInfo)) {
    return Refused(path, "its MasePluginInfo has ", info->struct_size, " bytes, this program's ",
                   sizeof(MasePluginInfo));
  }
  if (info->abi_version != kMasePluginAbiVersion) {
    return Refused(path, "its ABI version is ", info->abi_version, ", this program's ",
                   kMasePluginAbiVersion);
  }
  if (info->build_signature == nullptr || info->name == nullptr || info->version == nullptr ||
      info->register_passes == nullptr) {
    return Refused(path, "a field of its MasePluginInfo is null");
  }
  // Of a plugin built against the SDK, or of one built together with this program (api_hash.h).
  const std::string with_core =
      absl::StrReplaceAll(MASE_BUILD_SIGNATURE, {{MASE_SDK_HASH, MASE_CORE_HASH}});
  if (info->build_signature != absl::string_view(MASE_BUILD_SIGNATURE) &&
      info->build_signature != with_core) {
    return Refused(path, "built as ", info->build_signature, ", this program as ",
                   MASE_BUILD_SIGNATURE);
  }
  if (info->name != Stem(path)) {
    return Refused(path, "it calls itself '", info->name, "', its file '", Stem(path), "'");
  }
  return absl::OkStatus();
}

// The plugin whose code runs although nothing is known of it yet: constructors, and what its entry
// point calls. "" if none.
std::string& PluginBeingOpened() {
  static std::string* const path = new std::string;
  return *path;
}

// While it lives, a plugin that ends the program does not end it as if all were done.
class OpeningWatch {
 public:
  explicit OpeningWatch(const std::string& path) {
    static const int registered = std::atexit([] {
      if (PluginBeingOpened().empty()) return;
      std::fprintf(stderr, "plugin %s refused: it ended the program while it was opened\n",
                   Printable(PluginBeingOpened()).c_str());
      std::fflush(nullptr);
      ::_exit(ExitCode(absl::PermissionDeniedError("")));
    });
    (void)registered;
    PluginBeingOpened() = path;
  }
  ~OpeningWatch() { PluginBeingOpened().clear(); }
};

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

absl::StatusOr<PluginEntry> PluginLoader::Open(absl::string_view path_as_given) {
  const std::string path(path_as_given);
  const std::string real = RealPath(path);
  if (const auto it = opened_by_path_.find(real); it != opened_by_path_.end()) return it->second;

  if (absl::Status status = CheckElfSharedObject(path, kEntryPoint); !status.ok()) {
    return Annotate(
        status, absl::StrCat("plugin ", path, absl::IsPermissionDenied(status) ? " refused" : ""));
  }
  void* handle = nullptr;
  {
    const OpeningWatch watch(path);
    handle = ::dlopen(real.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  if (handle == nullptr) {
    return Refused(path, ::dlerror(), " (this program is ", MASE_BUILD_SIGNATURE, ")");
  }
  MASE_ASSIGN_OR_RETURN(PluginEntry entry, Register(path, handle));
  opened_.push_back(entry);
  opened_by_path_[real] = entry;
  return entry;
}

absl::StatusOr<PluginEntry> PluginLoader::Register(const std::string& path, void* handle) {
  const OpeningWatch watch(path);
  const auto get_info =
      reinterpret_cast<decltype(&MasePluginGetInfo)>(::dlsym(handle, kEntryPoint));
  if (get_info == nullptr) {
    return Refused(path, "it has no function ", kEntryPoint, ", so it is no MASE plugin");
  }
  const MasePluginInfo* info = get_info();
  MASE_RETURN_IF_ERROR(CheckHandshake(path, info));

  PluginEntry entry;
  entry.set_name(info->name);
  entry.set_version(info->version);
  PassRegistrar registrar(entry.name());
  try {
    info->register_passes(&registrar);
  } catch (...) {
    return Refused(path, "an exception left its register function");
  }
  if (!registrar.status().ok()) return Refused(path, registrar.status().message());

  for (const PassInfo& pass : registrar.passes()) {
    MASE_RETURN_IF_ERROR(CheckNamesAreFree(path, pass));
  }
  Describe(registrar.registrations(), &entry);
  if (const absl::Status status = CommitToTables(registrar.registrations()); !status.ok()) {
    return Refused(path, status.message());
  }
  for (const PassInfo& pass : registrar.passes()) MASE_RETURN_IF_ERROR(registry_.Add(pass));
  return entry;
}

absl::Status PluginLoader::CheckNamesAreFree(const std::string& path, const PassInfo& pass) const {
  std::vector<std::string> names = pass.traits.aliases;
  names.push_back(pass.name);
  for (const std::string& name : names) {
    std::string owner;
    if (const PassInfo* taken = registry_.Find(name); taken != nullptr) {
      owner = taken->plugin;
    } else if (const auto it = bundled_.find(name);
               it != bundled_.end() && RealPath(BundledPath(*it->second)) != RealPath(path)) {
      owner = it->second->name();  // Owns its names even while it is closed.
    }
    if (owner.empty()) continue;
    return Refused(path, "plugin ", owner, " has a pass '", name, "', and so has this one, ",
                   pass.plugin);
  }
  return absl::OkStatus();
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
  const auto append_name = [](std::string* out, const PassEntry& pass) {
    absl::StrAppend(out, pass.name());
  };
  return absl::NotFoundError(
      absl::StrCat("no pass '", name, "'; there are ", absl::StrJoin(List(), ", ", append_name)));
}

std::vector<PassEntry> PluginLoader::List() const {
  absl::btree_map<std::string, PassEntry> passes;
  for (const PluginEntry& plugin : index_.plugin()) {
    for (const PassEntry& pass : plugin.pass()) passes[pass.name()] = pass;
  }
  for (const PassInfo* info : registry_.passes()) passes[info->name] = Describe(*info);
  std::vector<PassEntry> list;
  for (const auto& [name, pass] : passes) list.push_back(pass);
  return list;
}

}  // namespace mase
