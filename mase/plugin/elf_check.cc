#include "mase/plugin/elf_check.h"

#include <elf.h>

#include <cstring>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#endif

constexpr int64_t kMaxPluginBytes = int64_t{1} << 30;

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::PermissionDeniedError(absl::StrCat(parts...));
}

// `count` structs at `offset`; nothing where they are not in the file.
template <typename T>
std::optional<std::vector<T>> ReadTable(absl::string_view file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T)) return std::nullopt;
  std::vector<T> table(count);
  if (count > 0) std::memcpy(table.data(), file.data() + offset, count * sizeof(T));
  return table;
}

// OK if the file's table of dynamic symbols has this one as a function of its own. A file without
// sections (sstrip) has no table that can be found here, and is OK.
absl::Status CheckFunction(absl::string_view file, const Elf64_Ehdr& header,
                           absl::string_view function) {
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return absl::OkStatus();
  const auto sections = ReadTable<Elf64_Shdr>(file, header.e_shoff, header.e_shnum);
  if (!sections.has_value()) return Refuse("a truncated shared object");
  for (const Elf64_Shdr& section : *sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections->size()) continue;
    const Elf64_Shdr& texts = (*sections)[section.sh_link];
    const auto symbols =
        ReadTable<Elf64_Sym>(file, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    if (!symbols.has_value() || texts.sh_offset > file.size() ||
        texts.sh_size > file.size() - texts.sh_offset) {
      return Refuse("a truncated shared object");
    }
    const absl::string_view names = file.substr(texts.sh_offset, texts.sh_size);
    for (const Elf64_Sym& symbol : *symbols) {
      if (symbol.st_name >= names.size()) continue;
      const absl::string_view rest = names.substr(symbol.st_name);
      if (rest.substr(0, rest.find('\0')) != function) continue;
      if (symbol.st_shndx == SHN_UNDEF) continue;
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC) return absl::OkStatus();
      return Refuse("its ", function, " is no function");
    }
    return Refuse("it has no function ", function, ", so it is no MASE plugin");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckElfSharedObject(const std::string& path, absl::string_view function) {
  const absl::StatusOr<std::string> read = ReadFile(path, kMaxPluginBytes);
  if (!read.ok()) {  // The file is named by the caller.
    return absl::Status(read.status().code(),
                        absl::StripPrefix(read.status().message(), absl::StrCat(path, ": ")));
  }
  const absl::string_view file = *read;
  if (!absl::StartsWith(file, absl::string_view(ELFMAG, SELFMAG))) {
    return Refuse("not a shared object: begins with ", Quoted(file.substr(0, 8)),
                  ", want an ELF header");
  }
  const auto headers = ReadTable<Elf64_Ehdr>(file, 0, 1);
  if (!headers.has_value()) return Refuse("a truncated shared object");
  const Elf64_Ehdr& header = headers->front();
  if (header.e_ident[EI_CLASS] != ELFCLASS64) {
    return Refuse(header.e_ident[EI_CLASS] == ELFCLASS32 ? "a 32-bit ELF file"
                                                         : "an ELF file of no known class",
                  ", and this program is a 64-bit one");
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) return Refuse("a big-endian ELF file");
  if (header.e_machine != kMachine) {
    return Refuse("built for another machine (ELF machine ", header.e_machine, ", this one is ",
                  kMachine, ")");
  }
  if (header.e_type != ET_DYN) {
    return Refuse("an ELF file of type ", header.e_type, ", want a shared object (", ET_DYN, ")");
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    return Refuse("a damaged shared object: its program header table makes no sense");
  }
  const auto segments = ReadTable<Elf64_Phdr>(file, header.e_phoff, header.e_phnum);
  if (!segments.has_value()) return Refuse("a truncated shared object");
  for (const Elf64_Phdr& segment : *segments) {
    if (segment.p_filesz > file.size() || segment.p_offset > file.size() - segment.p_filesz) {
      return Refuse("a truncated shared object: a segment of ", segment.p_filesz, " bytes at ",
                    segment.p_offset, " in a file of ", file.size());
    }
  }
  return CheckFunction(file, header, function);
}

}  // namespace mase
