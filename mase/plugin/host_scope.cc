#include "mase/plugin/host_scope.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace mase {
namespace {

// The loader's entry of the object that holds this code; null if it cannot be told.
const link_map* OwnObject() {
  static constexpr char kOwn = 0;
  Dl_info info;
  void* map = nullptr;
  if (dladdr1(&kOwn, &info, &map, RTLD_DL_LINKMAP) == 0) return nullptr;
  return static_cast<const link_map*>(map);
}

// All of a shared object but its names, which come behind it: no code, no symbols.
struct EmptyLibrary {
  Elf64_Ehdr header = {};
  Elf64_Phdr load = {}, dynamic = {}, stack = {};
  Elf64_Dyn entries[8] = {};
  Elf64_Sym no_symbol = {};
  Elf64_Word hash[4] = {1, 1, 0, 0};  // One bucket and one chain, both empty.
};

// The bytes of a shared object that needs the two others, in this order.
std::string LibraryThatNeeds(const std::string& first, const std::string& second) {
  const std::string names =
      absl::StrCat(absl::string_view("\0", 1), first, absl::string_view("\0", 1), second,
                   absl::string_view("\0", 1));
  EmptyLibrary library;
  const size_t size = sizeof library + names.size();
  std::memcpy(library.header.e_ident, ELFMAG, SELFMAG);
  library.header.e_ident[EI_CLASS] = ELFCLASS64;
  library.header.e_ident[EI_DATA] = ELFDATA2LSB;
  library.header.e_ident[EI_VERSION] = EV_CURRENT;
  library.header.e_type = ET_DYN;
  library.header.e_machine = EM_X86_64;
  library.header.e_version = EV_CURRENT;
  library.header.e_phoff = offsetof(EmptyLibrary, load);
  library.header.e_ehsize = sizeof library.header;
  library.header.e_phentsize = sizeof library.load;
  library.header.e_phnum = 3;
  library.load = {.p_type = PT_LOAD,
                  .p_flags = PF_R | PF_W,  // The loader writes addresses into the entries.
                  .p_filesz = size,
                  .p_memsz = size,
                  .p_align = 0x1000};
  library.dynamic = {.p_type = PT_DYNAMIC,
                     .p_flags = PF_R | PF_W,
                     .p_offset = offsetof(EmptyLibrary, entries),
                     .p_vaddr = offsetof(EmptyLibrary, entries),
                     .p_filesz = sizeof library.entries,
                     .p_memsz = sizeof library.entries,
                     .p_align = 8};
  library.stack = {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16};
  const Elf64_Dyn entries[] = {{DT_NEEDED, {1}},
                               {DT_NEEDED, {1 + first.size() + 1}},
                               {DT_STRTAB, {sizeof library}},
                               {DT_STRSZ, {names.size()}},
                               {DT_SYMTAB, {offsetof(EmptyLibrary, no_symbol)}},
                               {DT_SYMENT, {sizeof library.no_symbol}},
                               {DT_HASH, {offsetof(EmptyLibrary, hash)}},
                               {DT_NULL, {0}}};
  static_assert(sizeof entries == sizeof library.entries);
  std::memcpy(library.entries, entries, sizeof entries);
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&library), sizeof library),
                      names);
}

}  // namespace

void* OpenInHostScope(const std::string& path) {
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL;
  const link_map* own = OwnObject();
  if (own == nullptr || own->l_name[0] == '\0') return dlopen(path.c_str(), kFlags);
  // The file stays open, as plugins do: its name must not be another plugin's one day.
  const int file = memfd_create("mase_plugin", MFD_CLOEXEC);
  const std::string library = LibraryThatNeeds(own->l_name, path);
  if (file < 0 || write(file, library.data(), library.size()) != ssize_t(library.size())) {
    return dlopen(path.c_str(), kFlags);  // Its error names a symbol of ours.
  }
  if (dlopen(absl::StrCat("/proc/self/fd/", file).c_str(), kFlags) == nullptr) {
    close(file);
    return nullptr;
  }
  return dlopen(path.c_str(), kFlags | RTLD_NOLOAD);
}

}  // namespace mase
