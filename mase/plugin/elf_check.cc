#include "mase/plugin/elf_check.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"

namespace mase {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#endif

absl::Status Refuse(absl::string_view why) { return absl::PermissionDeniedError(why); }

}  // namespace

absl::Status CheckElfSharedObject(const std::string& path) {
  // A pipe would be waited for. The file is named by the caller.
  if (const absl::Status opened = InputFile::Open(path).status(); !opened.ok()) {
    return absl::Status(opened.code(),
                        absl::StripPrefix(opened.message(), absl::StrCat(path, ": ")));
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError("no such file, or not readable");
  const auto size = static_cast<uint64_t>(file.tellg());
  file.seekg(0);
  Elf64_Ehdr header = {};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  const auto got = static_cast<size_t>(file.gcount());
  if (got < SELFMAG || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    const std::string start(reinterpret_cast<const char*>(header.e_ident),
                            std::min<size_t>(got, 8));
    return Refuse(absl::StrCat("not a shared object: begins with '", absl::CHexEscape(start),
                               "', want an ELF header"));
  }
  if (got < sizeof header) return Refuse("a truncated shared object");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    return Refuse(absl::StrCat("built for another machine (ELF machine ", header.e_machine,
                               ", this one is ", kMachine, ")"));
  }
  if (header.e_type != ET_DYN) {
    return Refuse(absl::StrCat("an ELF file of type ", header.e_type, ", want a shared object (",
                               ET_DYN, ")"));
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    return Refuse("a damaged shared object: its program header table makes no sense");
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const std::streamsize bytes = segments.size() * sizeof(Elf64_Phdr);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  if (!file || !file.read(reinterpret_cast<char*>(segments.data()), bytes)) {
    return Refuse("a truncated shared object");
  }
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_filesz > size || segment.p_offset > size - segment.p_filesz) {
      return Refuse(absl::StrCat("a truncated shared object: a segment of ", segment.p_filesz,
                                 " bytes at ", segment.p_offset, " in a file of ", size));
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
